//! Programs started by `posix_spawn`, and waited for by a descriptor.
//!
//! The standard library copies the environment for every process, and the runtime asks three questions of every pipe and
//! process before it uses them. Here a call costs what the kernel takes.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};

use super::Program;

/// Starts a program as the leader of a group of its own. `stdio` are its descriptors 0, 1 and 2; it inherits nothing else.
///
/// # Errors
/// The kernel's, as of `execve`; `EINVAL` where a word holds a zero.
pub(super) fn spawn(
    path: &Path,
    program: &Program,
    environment: &[&CStr],
    stdio: [BorrowedFd<'_>; 3],
) -> io::Result<Pid> {
    let words = [&program.name].into_iter().chain(&program.arguments);
    let words: Vec<CString> = words
        .map(|word| CString::new(word.as_bytes()))
        .collect::<Result<_, _>>()?;
    let mut actions = PosixSpawnFileActions::init()?;
    for (descriptor, number) in stdio.iter().zip(0..) {
        actions.add_dup2(descriptor.as_raw_fd(), number)?;
    }
    Ok(posix_spawn(
        path,
        &actions,
        &attributes()?,
        &words,
        environment,
    )?)
}

/// A group of its own; no signal blocked; SIGPIPE as programs expect it, which this program ignores.
fn attributes() -> nix::Result<PosixSpawnAttr> {
    let mut attributes = PosixSpawnAttr::init()?;
    let mut usual = SigSet::empty();
    usual.add(Signal::SIGPIPE);
    attributes.set_pgroup(Pid::from_raw(0))?;
    attributes.set_sigmask(&SigSet::empty())?;
    attributes.set_sigdefault(&usual)?;
    attributes.set_flags(
        PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
    )?;
    Ok(attributes)
}

/// Waits for a child to end, and reaps it.
pub(super) async fn wait(pid: Pid) -> io::Result<ExitStatus> {
    match pidfd(pid) {
        Ok(descriptor) => loop {
            let mut ready = descriptor.readable().await?;
            if let Some(status) = try_wait(pid)? {
                return Ok(status);
            }
            ready.clear_ready();
        },
        // A kernel, or a filter of system calls, that is older than such descriptors.
        Err(_) => {
            let mut ended = signal(SignalKind::child())?;
            loop {
                if let Some(status) = try_wait(pid)? {
                    return Ok(status);
                }
                ended.recv().await;
            }
        }
    }
}

#[expect(
    deprecated,
    reason = "what replaces it is unsafe; a descriptor that is owned stays the one that it is"
)]
fn pidfd(pid: Pid) -> io::Result<AsyncFd<OwnedFd>> {
    let pid = rustix::process::Pid::from_raw(pid.as_raw()).ok_or(Errno::ESRCH)?;
    let descriptor = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
    AsyncFd::new(descriptor)
}

/// How a child ended, if it has; it is reaped then.
pub(super) fn try_wait(pid: Pid) -> io::Result<Option<ExitStatus>> {
    loop {
        return match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => Ok(Some(ExitStatus::from_raw((code & 0xff) << 8))),
            Ok(WaitStatus::Signaled(_, signal, core)) => {
                let core = if core { 0x80 } else { 0 };
                Ok(Some(ExitStatus::from_raw(signal as i32 | core)))
            }
            Ok(_) => Ok(None),
            Err(Errno::EINTR) => continue,
            Err(error) => Err(error.into()),
        };
    }
}

/// Lets reads and writes return when there is nothing to do.
pub(super) fn not_to_block(pipe: impl AsFd) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(pipe, true)?)
}
