//! One function process and its group. Whoever drops it before the process has ended kills the whole group.

use std::ffi::{OsStr, OsString};
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::process::Child;
use tokio::runtime::Handle;

use super::{Children, Program, StartError};

/// A running process, leader of its own group.
pub(super) struct Group {
    pid: Pid,
    /// Taken once it has been waited for.
    child: Option<Child>,
    children: Children,
}

/// Our ends of a process's pipes. `stderr` is none where it shares the pipe of stdout.
pub(super) struct Pipes {
    pub(super) stdin: Sender,
    pub(super) stdout: Receiver,
    pub(super) stderr: Option<Receiver>,
}

/// What a process is started from.
pub(super) struct Start<'a> {
    pub(super) program: &'a Program,
    pub(super) path: &'a Path,
    /// Where a name repeats, the last one counts.
    pub(super) environment: [&'a [(OsString, OsString)]; 2],
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
        let (stderr, child_stderr) = error_pipe(start.combine_output, &child_stdout)?;
        let pipes = Pipes::new(stdin, stdout, stderr).map_err(StartError::Pipes)?;

        let mut command = Command::new(start.path);
        command
            .arg0(&start.program.name)
            .args(&start.program.arguments)
            .env_clear()
            .envs(start.environment.into_iter().flatten().map(pair))
            .stdin(child_stdin)
            .stdout(child_stdout)
            .stderr(child_stderr)
            // Nothing here may take the standard library off its posix_spawn path (a pre_exec hook would).
            .process_group(0);
        let spawn = || {
            let child = tokio::process::Command::from(command).spawn()?;
            let pid = child.id().ok_or(Errno::ESRCH)?;
            Ok((Pid::from_raw(pid.cast_signed()), child))
        };
        let (pid, child) = children
            .start(spawn)
            .map_err(|error| StartError::Exec(start.path.to_owned(), error))?;
        let group = Self {
            pid,
            child: Some(child),
            children: children.clone(),
        };
        Ok((group, pipes))
    }

    /// Waits for the leader to end and reaps it. Other processes of its group may still be running.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let child = self.child.as_mut().ok_or(Errno::ECHILD)?;
        let status = child.wait().await?;
        self.child = None;
        self.children.forget(self.pid);
        Ok(status)
    }

    /// Whether the leader has ended, without waiting for it. It is reaped then.
    pub(super) fn has_ended(&mut self) -> bool {
        let ended = match &mut self.child {
            Some(child) => !matches!(child.try_wait(), Ok(None)),
            None => true,
        };
        if ended && self.child.take().is_some() {
            self.children.forget(self.pid);
        }
        ended
    }

    /// Kills everything in the group, unless the leader has been reaped already.
    pub(super) fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// Signals everything in the group, unless the leader has been reaped already.
    pub(super) fn signal(&self, signal: Signal) {
        // As long as the leader has not been reaped, its number cannot belong to another group.
        if self.child.is_some() {
            let _ = killpg(self.pid, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        let Some(mut child) = self.child.take() else {
            return;
        };
        let (pid, children) = (self.pid, self.children.clone());
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let _ = child.wait().await;
                children.forget(pid);
            });
        }
    }
}

impl Pipes {
    fn new(stdin: PipeWriter, stdout: PipeReader, stderr: Option<PipeReader>) -> io::Result<Self> {
        let receive = |pipe: PipeReader| Receiver::from_owned_fd(OwnedFd::from(pipe));
        Ok(Self {
            stdin: Sender::from_owned_fd(OwnedFd::from(stdin))?,
            stdout: receive(stdout)?,
            stderr: stderr.map(receive).transpose()?,
        })
    }
}

/// The child's stderr: the very pipe of its stdout, so that the order is the order of writing, or one of its own.
fn error_pipe(
    combine: bool,
    stdout: &PipeWriter,
) -> Result<(Option<PipeReader>, PipeWriter), StartError> {
    if combine {
        let shared = stdout.try_clone().map_err(StartError::Pipes)?;
        return Ok((None, shared));
    }
    let (ours, theirs) = io::pipe().map_err(StartError::Pipes)?;
    Ok((Some(ours), theirs))
}

fn pair((name, value): &(OsString, OsString)) -> (&OsStr, &OsStr) {
    (name, value)
}
