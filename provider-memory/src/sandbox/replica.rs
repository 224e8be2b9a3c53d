//! A running replica, as the provider holds it.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::sys::signal::Signal;
use tokio::process::{ChildStderr, ChildStdout};
use tokio::sync::watch;

use super::wire::{self, Order};

/// How a replica ended.
#[derive(Clone, Copy, Debug)]
pub struct Exit {
    /// The program's own status; killed by SIGKILL where everything was killed at once.
    pub status: ExitStatus,
    /// Whether the memory limit had to do with it.
    pub oom_killed: bool,
}

/// A started program and everything it starts. Dropping it kills all of that.
#[derive(Debug)]
pub struct Replica {
    pub(super) pid: u32,
    pub(super) lifeline: UnixStream,
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
    pub(super) exit: watch::Receiver<Option<Exit>>,
    pub(super) oom_kills: watch::Receiver<u64>,
    /// Why the replica sees the machine's /proc, if it does.
    pub(super) shared_proc: Option<String>,
}

impl Replica {
    /// Process id of the sandbox around the program, as the machine sees it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What the program prints. Once; it must be read, or the program stops when the pipe is full.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.stdout.take()
    }

    /// What the program complains about; like [`take_stdout`](Self::take_stdout).
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.stderr.take()
    }

    /// Waits until nothing is left of the replica. Any number of tasks may wait.
    pub async fn wait(&self) -> Exit {
        let mut exit = self.exit.clone();
        let ended = exit.wait_for(Option::is_some).await;
        // The keeper is gone without a word only when the runtime is ending.
        ended.ok().and_then(|exit| *exit).unwrap_or(Exit {
            status: ExitStatus::from_raw(Signal::SIGKILL as i32),
            oom_killed: false,
        })
    }

    /// How many processes were killed for memory so far; changes while the replica runs, because a
    /// function that is killed does not take its watchdog with it.
    pub fn oom_kills(&self) -> watch::Receiver<u64> {
        self.oom_kills.clone()
    }

    /// SIGTERM to the program, not to what it started. Without effect on one that has ended.
    pub fn terminate(&self) {
        self.order(Order::Terminate);
    }

    /// Stops every process where it is; they keep their memory and take no time. SIGSTOP, because a cgroup is not to be had
    /// everywhere.
    pub fn pause(&self) {
        self.order(Order::Pause);
    }

    /// Continues them.
    pub fn resume(&self) {
        self.order(Order::Resume);
    }

    fn order(&self, order: Order) {
        let sent =
            wire::frame(&order).and_then(|frame| io::Write::write_all(&mut &self.lifeline, &frame));
        drop(sent);
    }

    /// Kills everything at once.
    pub fn kill(&self) {
        let _ = self.lifeline.shutdown(Shutdown::Both);
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
    }
}
