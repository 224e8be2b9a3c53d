//! One execution from start to end: feed the input, drain the output, keep the time.

use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::group::{Group, Pipes};
use super::pipes::{ErrorLog, Patience, drain, feed};
use super::{Input, Process, StartError};
use crate::go_text;
use crate::lines::LineLog;
use crate::spool::{Kept, Spool};

/// How long the answer waits, after the process has ended, for descendants that still hold its pipes.
const GRACE: Duration = Duration::from_millis(100);

/// What a process is to do.
pub(crate) struct Job<'a> {
    pub(crate) input: Input,
    /// Where its stderr goes, if that is not part of the output.
    pub(crate) errors: Errors,
    /// When the process is killed, with everything it started.
    pub(crate) deadline: Option<Instant>,
    /// Where a large output is kept.
    pub(crate) spool_directory: &'a Path,
}

/// Where stderr goes.
pub(crate) enum Errors {
    /// To the log in one go.
    Whole,
    /// To the log line by line.
    Lines(LineLog),
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

impl Process {
    /// Does the job. Dropping the future kills the process and everything it started.
    pub(crate) async fn run(self, job: Job<'_>) -> Result<Ended, Fault> {
        let Pipes {
            stdin,
            stdout,
            stderr,
        } = self.pipes;
        // Outlives the group below: a process that is being killed must not take this for the end of its input.
        let mut stdin = Some(stdin);
        let mut group = self.group;
        let (over, patience) = Patience::new();
        let mut output = Spool::new(job.spool_directory);
        let life = live(&mut group, job.deadline, &over);
        let (status, ..) = tokio::try_join!(
            life,
            feed(&mut stdin, job.input, patience.clone()),
            drain(stdout, patience.clone(), &mut output),
            log_errors(stderr, patience.clone(), job.errors),
        )?;
        Ok(Ended {
            status: status.ok_or(Fault::TimedOut)?,
            output: output.finish().await?,
        })
    }
}

/// Logs stderr to its end.
pub(super) async fn log_errors(
    stderr: Option<Receiver>,
    patience: Patience,
    errors: Errors,
) -> io::Result<()> {
    match (stderr, errors) {
        (None, _) => Ok(()),
        (Some(pipe), Errors::Whole) => drain(pipe, patience, &mut ErrorLog::default()).await,
        (Some(pipe), Errors::Lines(mut lines)) => drain(pipe, patience, &mut lines).await,
    }
}

/// Waits for the end of the process, or kills it at the deadline and has no status then. Patience ends soon after.
pub(super) async fn live(
    group: &mut Group,
    deadline: Option<Instant>,
    over: &watch::Sender<Option<Instant>>,
) -> io::Result<Option<ExitStatus>> {
    let status = tokio::select! {
        status = group.wait() => Some(status?),
        () = until(deadline) => {
            group.kill();
            // Reaped at once, whoever else is still to be waited for; unless the kernel holds it.
            let _ = timeout(GRACE, group.wait()).await;
            None
        }
    };
    over.send_replace(Some(Instant::now() + GRACE));
    Ok(status)
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
