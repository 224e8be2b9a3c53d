//! The inner process: builds the room, starts the program, then reaps, forwards SIGTERM, and lets nothing
//! survive the program or the provider. It is pid 1 of its pid namespace, else a subreaper.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::words::{During, Words};
use super::{FAILED, MISUSED, control, network, privileges, root};
use crate::sandbox::processes::{self, Table};
use crate::sandbox::wire::{self, Inside, Order, Report};

/// The first process of a pid namespace, and to it all others there: kill(2).
const FIRST: Pid = Pid::from_raw(1);
const EVERYBODY: Pid = Pid::from_raw(-1);

/// The life of the inner process as pid 1.
pub(super) fn run() -> ExitCode {
    // One measure more: the outer process is single-threaded, so its death is what this signals.
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    let Ok(control) = control::socket() else {
        return ExitCode::from(MISUSED);
    };
    live(&control).unwrap_or_else(|words| {
        control::report(&control, &Report::Failed(words));
        ExitCode::from(FAILED)
    })
}

/// The same life in the outer process, where there are no pid namespaces.
pub(super) fn live(control: &UnixStream) -> Result<ExitCode, Words> {
    let (inside, listener) = control::receive(control).during("reading what to run")?;
    let signals = watched_signals().during("watching for signals")?;
    let own_pids = inside.namespaces.pid;
    if !own_pids {
        prctl::set_child_subreaper(true).during("becoming a subreaper")?;
    }
    let exe = File::open("/proc/self/exe").during("opening the executable")?;
    umask(Mode::from_bits_truncate(0o022));
    if inside.namespaces.network {
        network::raise_loopback().during("raising loopback")?;
    }
    let shared_proc = match &inside.root {
        Some(root) => root::build(root, own_pids)?,
        None => Some("no mount namespace".to_owned()),
    };
    privileges::renounce()?;

    let program = start(&inside, &exe, listener)?;
    privileges::spare_from_oom_killer();
    control::report(control, &Report::Started { shared_proc });
    drop(inside);
    let ended = watch(control, &signals, program, own_pids).during("watching the program")?;
    if let Some(status) = ended.and_then(raw_status) {
        control::report(control, &Report::Ended(status));
    }
    if !own_pids {
        kill_descendants();
    }
    Ok(ExitCode::from(ended.map_or(128 + 9, exit_code)))
}

fn watched_signals() -> Result<SignalFd, Errno> {
    let mut mask = SigSet::empty();
    mask.extend([Signal::SIGCHLD, Signal::SIGTERM]);
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC)?;
    mask.extend([Signal::SIGINT, Signal::SIGHUP]);
    mask.thread_block()?;
    Ok(signals)
}

/// Starts the program; it has begun to run when this returns.
fn start(inside: &Inside, exe: &File, listener: Option<OwnedFd>) -> Result<Pid, Words> {
    // By descriptor, because the new root may have no path to our executable.
    let own = || format!("/proc/self/fd/{}", exe.as_raw_fd()).into();
    let path = inside.program.clone().unwrap_or_else(own);
    let mut command = Command::new(&path);
    if inside.program.is_none() {
        command.arg0("ferro");
    }
    command
        .args(&inside.argv)
        .env_clear()
        .envs(inside.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&inside.cwd)
        .process_group(0)
        .stdin(listener.map_or_else(Stdio::null, Stdio::from));
    if let Some(uid) = inside.uid {
        command.uid(uid).gid(uid);
    }
    // The program inherits the mask, and nobody expects to be born deaf. Pid 1 is not killed by a SIGTERM
    // it does not block; a subreaper could be, in this moment, but then its lifeline still is cut.
    let blocked = SigSet::thread_get_mask().during("reading the signal mask")?;
    SigSet::empty()
        .thread_set_mask()
        .during("clearing the signal mask")?;
    let spawned = command.spawn();
    blocked
        .thread_set_mask()
        .during("restoring the signal mask")?;
    let step = format_args!("starting the program in {}", inside.cwd.display());
    let child = spawned.during(step)?;
    Ok(Pid::from_raw(child.id().cast_signed()))
}

/// Serves until the program ended (its status) or the provider is gone (`None`).
fn watch(
    control: &UnixStream,
    signals: &SignalFd,
    program: Pid,
    own_pids: bool,
) -> Result<Option<WaitStatus>, Errno> {
    loop {
        // Before waiting: a SIGCHLD from while the mask was clear is lost.
        if let Some(ended) = reap(program)? {
            return Ok(Some(ended));
        }
        let mut fds = [
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(control.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        let [signalled, ordered] = fds.map(|fd| fd.any().unwrap_or(true));
        if signalled {
            let signal = signals.read_signal()?;
            if signal.is_some_and(|info| info.ssi_signo == Signal::SIGTERM as u32) {
                let _ = kill(program, Signal::SIGTERM);
            }
        }
        if ordered {
            match wire::read(control) {
                Ok(Order::Terminate) => {
                    let _ = kill(program, Signal::SIGTERM);
                }
                Ok(Order::Pause) => stop_all(own_pids),
                Ok(Order::Resume) => continue_all(own_pids),
                Err(_) => return Ok(None),
            }
        }
    }
}

/// Stops everything but this process. Pid 1 of a namespace reaches all of it at once; nothing there can fork meanwhile.
fn stop_all(own_pids: bool) {
    if own_pids && Pid::this() == FIRST {
        let _ = kill(EVERYBODY, Signal::SIGSTOP);
    } else {
        processes::stop_descendants(Pid::this());
    }
}

/// Continues what was stopped.
fn continue_all(own_pids: bool) {
    if own_pids && Pid::this() == FIRST {
        let _ = kill(EVERYBODY, Signal::SIGCONT);
    } else {
        for pid in Table::read().descendants(Pid::this()) {
            let _ = kill(pid, Signal::SIGCONT);
        }
    }
}

/// Reaps whatever died, orphans of orphans included; the program's status if it was among them.
fn reap(program: Pid) -> Result<Option<WaitStatus>, Errno> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(None),
            Ok(status) if status.pid() == Some(program) => return Ok(Some(status)),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Kills everything below this process until nothing is left. Orphans come to us, being the subreaper.
fn kill_descendants() {
    let own = Pid::this();
    loop {
        // Stopped first, all of them, so that none can fork while its siblings are being killed.
        let found = processes::stop_descendants(own);
        for pid in found {
            let _ = kill(pid, Signal::SIGKILL);
        }
        match waitpid(None, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

fn raw_status(status: WaitStatus) -> Option<i32> {
    match status {
        WaitStatus::Exited(_, code) => Some(code << 8),
        WaitStatus::Signaled(_, signal, _) => Some(signal as i32),
        _ => None,
    }
}

/// The exit code that repeats a status, in the shell's convention.
pub(super) fn exit_code(status: WaitStatus) -> u8 {
    match status {
        WaitStatus::Exited(_, code) => u8::try_from(code & 0xff).unwrap_or(FAILED),
        WaitStatus::Signaled(_, signal, _) => u8::try_from(128 + signal as i32).unwrap_or(FAILED),
        _ => FAILED,
    }
}
