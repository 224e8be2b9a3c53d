//! One execution from start to end: feed the input, drain the output, keep the time.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::group::{Group, Pipes, Start};
use super::pipes::{ErrorLog, Patience, drain, feed};
use super::{Children, Input, Program, StartError};
use crate::go_text;
use crate::spool::{Kept, Spool};

/// How long the answer waits, after the process has ended, for descendants that still hold its pipes.
const GRACE: Duration = Duration::from_millis(100);

/// What is to be run.
pub(crate) struct Job<'a> {
    pub(crate) program: &'a Program,
    /// `PATH` of the watchdog.
    pub(crate) search_path: Option<&'a OsString>,
    /// The watchdog's own environment.
    pub(crate) inherited: &'a [(OsString, OsString)],
    /// Variables of this call, which count more than inherited ones.
    pub(crate) variables: Vec<(OsString, OsString)>,
    pub(crate) input: Input,
    /// Whether stderr belongs to the output; otherwise it is logged.
    pub(crate) combine_output: bool,
    /// When the process is killed, with everything it started.
    pub(crate) deadline: Option<Instant>,
    /// Where a large output is kept.
    pub(crate) spool_directory: &'a Path,
}

/// A process that ended by itself, or by somebody else's signal.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) output: Kept,
}

/// Why an execution has no end of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Start(#[from] StartError),
    /// The deadline passed; the process and everything it started are killed.
    #[error("the time is over")]
    TimedOut,
    /// The input or the output could not be kept, for want of disk space for one.
    #[error("{}", go_text::error(.0))]
    Spool(#[from] io::Error),
}

impl Job<'_> {
    /// Runs the process. Dropping the future kills the process and everything it started.
    pub(crate) async fn run(self, children: &Children) -> Result<Ended, Fault> {
        if self.deadline.is_some_and(|end| end <= Instant::now()) {
            return Err(Fault::TimedOut);
        }
        if has_nul(&self.variables) {
            return Err(StartError::NulInEnvironment.into());
        }
        let path = self.program.find(self.search_path)?;
        let start = Start {
            program: self.program,
            path: &path,
            environment: [self.inherited, &self.variables],
            combine_output: self.combine_output,
        };
        let (group, pipes) = Group::start(&start, children)?;
        supervise(
            group,
            pipes,
            self.input,
            self.deadline,
            self.spool_directory,
        )
        .await
    }
}

async fn supervise(
    mut group: Group,
    pipes: Pipes,
    input: Input,
    deadline: Option<Instant>,
    spool_directory: &Path,
) -> Result<Ended, Fault> {
    let (over, patience) = Patience::new();
    let life = async {
        let status = tokio::select! {
            status = group.wait() => status?,
            () = until(deadline) => return Err(Fault::TimedOut),
        };
        over.send_replace(Some(Instant::now() + GRACE));
        Ok(status)
    };
    let transfer = async { Ok(transfer(pipes, input, patience, spool_directory).await?) };
    let (status, output) = tokio::try_join!(life, transfer)?;
    Ok(Ended { status, output })
}

/// All pipes at once; the output when they are done.
async fn transfer(
    pipes: Pipes,
    input: Input,
    patience: Patience,
    spool_directory: &Path,
) -> io::Result<Kept> {
    let mut output = Spool::new(spool_directory);
    let errors = async {
        match pipes.stderr {
            Some(pipe) => drain(pipe, patience.clone(), &mut ErrorLog::default()).await,
            None => Ok(()),
        }
    };
    tokio::try_join!(
        feed(pipes.stdin, input, patience.clone()),
        drain(pipes.stdout, patience.clone(), &mut output),
        errors,
    )?;
    output.finish().await
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// A path may be decoded to one; the kernel's environment cannot hold it.
fn has_nul(environment: &[(OsString, OsString)]) -> bool {
    use std::os::unix::ffi::OsStrExt;
    environment
        .iter()
        .any(|(_, value)| value.as_bytes().contains(&0))
}
