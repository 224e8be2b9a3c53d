//! One execution whose input and output flow at the same time.

use std::io;
use std::process::ExitStatus;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::time::Instant;

use super::Process;
use super::group::Pipes;
use super::pipes::{Patience, Sink, drain};
use super::run::{Errors, live, log_errors};
use super::stdin::Stdin;

/// Why an output is not complete.
pub(crate) enum Broken<E> {
    /// The process says so itself, or somebody else stopped it.
    Ended(ExitStatus),
    /// The deadline passed; the process and everything it started are killed.
    TimedOut,
    /// The input broke off; the process is killed before it could take that for the end.
    Input(E),
    /// A pipe, or whoever takes the output, is gone.
    Io(io::Error),
}

impl<E> From<io::Error> for Broken<E> {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Process {
    /// Moves the input in and the output out until the process has ended, whatever is left of the input then. Neither
    /// side waits for the other. Dropping the future kills the process and everything it started.
    pub(crate) async fn stream<E>(
        self,
        input: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
        output: &mut impl Sink,
        errors: Errors,
        deadline: Option<Instant>,
    ) -> Result<(), Broken<E>> {
        let Pipes {
            stdin,
            stdout,
            stderr,
        } = self.pipes;
        // Outlives the group below: a process that is being killed must not take this for the end of its input.
        let mut stdin = Some(stdin);
        let mut group = self.group;
        let (over, patience) = Patience::new();
        let life = async { Ok(live(&mut group, deadline, &over).await?) };
        let pour = async {
            let poured = pour(&mut stdin, input, patience.clone()).await;
            poured.map_err(Broken::Input)
        };
        let drain = async { Ok(drain(stdout, patience.clone(), output).await?) };
        let errors = async { Ok(log_errors(stderr, patience.clone(), errors).await?) };
        let (status, ..) = tokio::try_join!(life, pour, drain, errors)?;
        match status {
            None => Err(Broken::TimedOut),
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(Broken::Ended(status)),
        }
    }
}

/// Writes the input and closes stdin. A function that closes it first is fine; the rest is thrown away.
async fn pour<E>(
    stdin: &mut Option<Stdin>,
    input: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
    mut patience: Patience,
) -> Result<(), E> {
    loop {
        let piece = tokio::select! {
            piece = input.next() => piece,
            () = patience.over() => return Ok(()),
        };
        let piece = match (piece, stdin.is_some()) {
            (Some(Ok(piece)), _) => piece,
            (Some(Err(error)), true) => return Err(error),
            (None, _) | (Some(Err(_)), false) => {
                *stdin = None;
                return Ok(());
            }
        };
        let Some(pipe) = stdin else { continue };
        let written = tokio::select! {
            written = pipe.write_all(&piece) => written,
            () = patience.over() => return Ok(()),
        };
        if written.is_err() {
            *stdin = None;
        }
    }
}
