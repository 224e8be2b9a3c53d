//! The outer process: leaves the machine's namespaces, starts the inner process as pid 1 of a new pid
//! namespace, and waits for it. Without pid namespaces it is the inner process itself.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, close, getegid, geteuid, setsid};

use super::words::{During, Words};
use super::{FAILED, INNER, MISUSED, control, init, privileges};
use crate::sandbox::wire::{self, Namespaces, Report};

/// The life of the outer process.
pub(super) fn run() -> ExitCode {
    let Ok(control) = control::socket() else {
        return ExitCode::from(MISUSED);
    };
    close_inherited(&control);
    // A session of its own: Ctrl-C in the provider's terminal is the provider's to handle, and a function
    // must not have that terminal.
    let _ = setsid();
    live(&control).unwrap_or_else(|words| {
        control::report(&control, &Report::Failed(words));
        ExitCode::from(FAILED)
    })
}

fn live(control: &UnixStream) -> Result<ExitCode, Words> {
    let namespaces: Namespaces = wire::read(control).during("reading the namespaces")?;
    leave(namespaces)?;
    if namespaces.pid {
        supervise(control)
    } else {
        init::live(control)
    }
}

/// Closes what the provider itself inherited from its own parent without close-on-exec.
fn close_inherited(control: &UnixStream) {
    use std::os::fd::AsRawFd;
    let Ok(entries) = fs::read_dir("/proc/self/fd") else {
        return;
    };
    let open: Vec<i32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    for fd in open {
        if fd > 2 && fd != control.as_raw_fd() {
            // The directory's own descriptor is in the list, and already closed.
            let _ = close(fd);
        }
    }
}

/// Enters new namespaces. The pid namespace takes effect for the next child.
fn leave(namespaces: Namespaces) -> Result<(), Words> {
    let (uid, gid) = (geteuid(), getegid());
    let mut flags = CloneFlags::empty();
    flags.set(CloneFlags::CLONE_NEWUSER, namespaces.user);
    flags.set(CloneFlags::CLONE_NEWPID, namespaces.pid);
    flags.set(CloneFlags::CLONE_NEWNET, namespaces.network);
    // System V shared memory is a road between functions as /tmp is.
    let room = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC;
    flags.set(room, namespaces.mount);
    unshare(flags).during(format_args!("entering new namespaces ({namespaces})"))?;
    if namespaces.user {
        // The kernel wants setgroups denied before an unprivileged process maps its group.
        fs::write("/proc/self/setgroups", "deny").during("denying setgroups")?;
        fs::write("/proc/self/uid_map", format!("{uid} {uid} 1")).during("mapping the uid")?;
        fs::write("/proc/self/gid_map", format!("{gid} {gid} 1")).during("mapping the gid")?;
        privileges::keep_across_exec()?;
    }
    Ok(())
}

/// Starts the inner process and ends with it, or ends it when the provider is gone.
fn supervise(control: &UnixStream) -> Result<ExitCode, Words> {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    let children =
        SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC).during("watching for children")?;
    // Whoever signals the whole service means the program; the inner process gets it too and decides.
    mask.extend([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]);
    mask.thread_block().during("blocking signals")?;

    let inner = Command::new("/proc/self/exe").arg(INNER).spawn();
    let inner = inner.during("starting the inner process")?;
    let inner = Pid::from_raw(inner.id().cast_signed());
    privileges::spare_from_oom_killer();
    watch(control, &children, inner).during("waiting for the inner process")
}

fn watch(control: &UnixStream, children: &SignalFd, inner: Pid) -> Result<ExitCode, Errno> {
    let mut lifeline = true;
    loop {
        let mut fds = vec![PollFd::new(children.as_fd(), PollFlags::POLLIN)];
        if lifeline {
            // No events asked for: what is to be read is the inner process's; the end is always told.
            fds.push(PollFd::new(control.as_fd(), PollFlags::empty()));
        }
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        if lifeline && fds[1].any().unwrap_or(true) {
            lifeline = false;
            // Pid 1 takes its namespace with it.
            let _ = kill(inner, Signal::SIGKILL);
        }
        if fds[0].any().unwrap_or(true) {
            children.read_signal()?;
        }
        match waitpid(inner, Some(WaitPidFlag::WNOHANG))? {
            WaitStatus::StillAlive => {}
            ended => return Ok(ExitCode::from(init::exit_code(ended))),
        }
    }
}
