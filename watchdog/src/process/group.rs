//! One function process and its group. Whoever drops it before the process has ended kills the whole group.

use std::ffi::CString;
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitStatus;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::net::unix::pipe::Receiver;
use tokio::runtime::Handle;

use super::stdin::Stdin;
use super::{Children, Program, StartError, spawn};

/// A running process, leader of its own group.
pub(super) struct Group {
    pid: Pid,
    /// Its number may belong to somebody else from then on.
    reaped: bool,
    children: Children,
}

/// Our ends of a process's pipes. `stderr` is none where it shares the pipe of stdout.
pub(super) struct Pipes {
    pub(super) stdin: Stdin,
    pub(super) stdout: Receiver,
    pub(super) stderr: Option<Receiver>,
}

/// What a process is started from.
pub(super) struct Start<'a> {
    pub(super) program: &'a Program,
    pub(super) path: &'a Path,
    /// Each as `NAME=value`.
    pub(super) environment: Vec<&'a CString>,
    pub(super) combine_output: bool,
}

impl Group {
    /// Starts the process. Descriptors 0, 1 and 2 are pipes; it inherits nothing else.
    pub(super) fn start(
        start: &Start<'_>,
        children: &Children,
    ) -> Result<(Self, Pipes), StartError> {
        let (child_stdin, stdin) = io::pipe().map_err(StartError::Pipes)?;
        let (stdout, child_stdout) = io::pipe().map_err(StartError::Pipes)?;
        // The very pipe of its stdout, so that the order is the order of writing, or one of its own.
        let errors = (!start.combine_output).then(io::pipe).transpose();
        let (stderr, child_stderr) = errors.map_err(StartError::Pipes)?.unzip();
        let pipes = Pipes::new(Stdin::new(stdin), stdout, stderr).map_err(StartError::Pipes)?;

        let stdio = [
            child_stdin.as_fd(),
            child_stdout.as_fd(),
            child_stderr.as_ref().unwrap_or(&child_stdout).as_fd(),
        ];
        let environment: Vec<_> = start.environment.iter().map(|set| set.as_c_str()).collect();
        let pid = children
            .start(|| spawn::spawn(start.path, start.program, &environment, stdio))
            .map_err(|error| StartError::Exec(start.path.to_owned(), error))?;
        let group = Self {
            pid,
            reaped: false,
            children: children.clone(),
        };
        Ok((group, pipes))
    }

    /// Waits for the leader to end and reaps it. Other processes of its group may still be running.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = spawn::wait(self.pid).await?;
        self.reaped = true;
        self.children.forget(self.pid);
        Ok(status)
    }

    /// How the leader has ended, if it has. It is reaped then.
    pub(super) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = spawn::try_wait(self.pid);
        if !matches!(status, Ok(None)) {
            self.reaped = true;
            self.children.forget(self.pid);
        }
        status
    }

    /// Whether the leader has ended, without waiting for it. It is reaped then.
    pub(super) fn has_ended(&mut self) -> bool {
        if !self.reaped {
            let _ = self.try_wait();
        }
        self.reaped
    }

    /// Kills everything in the group, unless the leader has been reaped already.
    pub(super) fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// Signals everything in the group, unless the leader has been reaped already.
    pub(super) fn signal(&self, signal: Signal) {
        // As long as the leader has not been reaped, its number cannot belong to another group.
        if !self.reaped {
            let _ = killpg(self.pid, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        if self.has_ended() {
            return;
        }
        let (pid, children) = (self.pid, self.children.clone());
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let _ = spawn::wait(pid).await;
                children.forget(pid);
            });
        }
    }
}

impl Pipes {
    fn new(stdin: Stdin, stdout: PipeReader, stderr: Option<PipeReader>) -> io::Result<Self> {
        let receive = |pipe: PipeReader| {
            spawn::not_to_block(&pipe)?;
            Receiver::from_owned_fd_unchecked(OwnedFd::from(pipe))
        };
        Ok(Self {
            stdin,
            stdout: receive(stdout)?,
            stderr: stderr.map(receive).transpose()?,
        })
    }
}
