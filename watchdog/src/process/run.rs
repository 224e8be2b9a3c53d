//! One execution from start to end: feed the input, drain the output, keep the time.

use std::io;
use std::path::Path;
use std::pin::pin;
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
/// How long a process is expected to end with its pipes; its end is not watched for until then.
const SHORT: Duration = Duration::from_millis(10);

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
        let pipes = async {
            tokio::try_join!(
                feed(&mut stdin, job.input, patience.clone()),
                drain(stdout, patience.clone(), &mut output),
                log_errors(stderr, patience.clone(), job.errors),
            )
        };
        let status = live_and_talk(&mut group, job.deadline, &over, pipes).await?;
        Ok(Ended {
            status: status.ok_or(Fault::TimedOut)?,
            output: output.finish().await?,
        })
    }
}

/// Waits for the end of the process, as [`live`] does, and of its pipes.
///
/// Most processes end right after they close their pipes. What tells of an end without that costs, and is made for those only
/// that take longer.
async fn live_and_talk<T>(
    group: &mut Group,
    deadline: Option<Instant>,
    over: &watch::Sender<Option<Instant>>,
    pipes: impl Future<Output = io::Result<T>>,
) -> io::Result<Option<ExitStatus>> {
    let mut pipes = pin!(pipes);
    let longer = Instant::now() + SHORT;
    tokio::select! {
        biased;
        closed = &mut pipes => {
            closed?;
            return match group.try_wait()? {
                Some(status) => Ok(Some(status)),
                None => live(group, deadline, over).await,
            };
        }
        () = sleep_until(deadline.map_or(longer, |deadline| deadline.min(longer))) => {}
    }
    let (status, _) = tokio::try_join!(live(group, deadline, over), pipes)?;
    Ok(status)
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
