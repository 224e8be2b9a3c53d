//! The task that stays with a replica until nothing is left of it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::net::unix::OwnedReadHalf;
use tokio::process::Child;
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::cgroup::Group;
use super::memory::Readings;
use super::processes::Table;
use super::replica::Exit;
use super::wire::{self, Report};

/// How often kills for memory are counted, and memory is added up where the kernel does not.
const MEMORY_INTERVAL: Duration = Duration::from_millis(250);
/// The last words of a sandbox are already in the socket when it has ended.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_millis(200);

/// Why /proc is the machine's, if it is; or why the program did not start.
type Start = Result<Option<String>, String>;

/// What is kept, and how.
pub(super) struct Keeper {
    pub(super) child: Child,
    pub(super) pid: u32,
    pub(super) group: Option<Arc<Group>>,
    pub(super) memory_limit: Option<u64>,
    /// No cgroup limits memory, so its use is added up here.
    pub(super) counted_by_us: bool,
    pub(super) readings: Arc<Readings>,
}

impl Keeper {
    /// Starts the task; where the start, the end, and the kills for memory are told.
    pub(super) fn keep(
        self,
        control: OwnedReadHalf,
    ) -> (
        oneshot::Receiver<Start>,
        watch::Receiver<Option<Exit>>,
        watch::Receiver<u64>,
    ) {
        let (started, start) = oneshot::channel();
        let (ended, exit) = watch::channel(None);
        let (killed, oom_kills) = watch::channel(0);
        tokio::spawn(self.run(
            control,
            Told {
                started,
                ended,
                killed,
            },
        ));
        (start, exit, oom_kills)
    }

    async fn run(mut self, control: OwnedReadHalf, told: Told) {
        let lifeline = control.as_ref().as_fd().try_clone_to_owned().ok();
        let words = tokio::spawn(listen(control, told.started));
        let mut ticks = interval(MEMORY_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let status = loop {
            tokio::select! {
                status = self.child.wait() => break status,
                _ = ticks.tick(), if self.memory_limit.is_some() => {
                    if self.count_memory(&told.killed).await {
                        cut(&lifeline);
                    }
                }
            }
        };
        // For the case that the outer process alone was killed.
        cut(&lifeline);
        let status = status.unwrap_or_else(|_| ExitStatus::from_raw(Signal::SIGKILL as i32));
        self.sweep(status, &told.killed).await;
        let last_words = timeout(LAST_WORDS_TIMEOUT, words).await;
        let status = last_words
            .ok()
            .and_then(Result::ok)
            .flatten()
            .unwrap_or(status);
        let oom_killed = *told.killed.borrow() > 0;
        told.ended.send_replace(Some(Exit { status, oom_killed }));
    }

    /// Brings the count of kills up to date; whether it is for us to kill now.
    async fn count_memory(&self, killed: &watch::Sender<u64>) -> bool {
        if !self.counted_by_us {
            let kills = self.group.as_ref().map_or(0, |group| group.oom_kills());
            killed.send_if_modified(|known| std::mem::replace(known, kills) != kills);
            return false;
        }
        let (readings, root) = (self.readings.clone(), Pid::from_raw(self.pid.cast_signed()));
        let used = spawn_blocking(move || readings.tree_bytes(root))
            .await
            .unwrap_or(0);
        let over = self.memory_limit.is_some_and(|limit| used > limit);
        if over {
            killed.send_replace(1);
        }
        over
    }

    /// Removes the group with whatever is still in it, and what is left of the sandbox's session if the
    /// sandbox itself was killed.
    async fn sweep(&self, status: ExitStatus, killed: &watch::Sender<u64>) {
        if status.signal().is_some() {
            let session = Pid::from_raw(self.pid.cast_signed());
            for pid in Table::read().session(session) {
                let _ = kill(pid, Signal::SIGKILL);
            }
        }
        let Some(group) = &self.group else { return };
        if !self.counted_by_us {
            killed.send_replace(group.oom_kills());
        }
        if let Err(error) = group.remove().await {
            tracing::warn!(%error, pid = self.pid, "a replica's cgroup stays behind");
        }
    }
}

/// Where the provider hears of a replica.
struct Told {
    started: oneshot::Sender<Start>,
    ended: watch::Sender<Option<Exit>>,
    killed: watch::Sender<u64>,
}

/// Ends the sandbox, if it still lives.
fn cut(lifeline: &Option<OwnedFd>) {
    if let Some(lifeline) = lifeline {
        let _ = rustix::net::shutdown(lifeline, rustix::net::Shutdown::Both);
    }
}

/// Passes on what the sandbox reports; the program's status, if it told one.
async fn listen(mut control: OwnedReadHalf, started: oneshot::Sender<Start>) -> Option<ExitStatus> {
    let mut started = Some(started);
    let mut status = None;
    while let Ok(report) = read(&mut control).await {
        let start = match report {
            Report::Failed(words) => Err(words),
            Report::Started { shared_proc } => Ok(shared_proc),
            Report::Ended(raw) => {
                status = Some(ExitStatus::from_raw(raw));
                continue;
            }
        };
        if let Some(started) = started.take() {
            let _ = started.send(start);
        }
    }
    status
}

async fn read(control: &mut OwnedReadHalf) -> io::Result<Report> {
    let mut prefix = [0; 4];
    control.read_exact(&mut prefix).await?;
    let mut body = vec![0; wire::body_length(prefix)?];
    control.read_exact(&mut body).await?;
    wire::parse(&body)
}
