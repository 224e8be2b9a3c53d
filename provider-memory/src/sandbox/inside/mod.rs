//! The two processes between the provider and a replica's program. Both are this very executable, entered
//! again, single-threaded, before any runtime exists.

mod control;
mod init;
mod mounts;
mod network;
mod outer;
mod privileges;
mod root;
mod words;

use std::ffi::OsString;
use std::process::ExitCode;

/// First argument of the process that stays outside the pid namespace.
pub(super) const OUTER: &str = "sandbox";
/// First argument of the process that is pid 1 inside.
pub(super) const INNER: &str = "sandbox-init";
/// Second argument of a program that only shows it could be started.
pub(super) const PROBE: &str = "probe";

/// Exit code of a sandbox that failed before its program ran; the words went over the control socket.
const FAILED: u8 = 125;
/// Exit code of a sandbox started by hand: its standard input is no control socket.
const MISUSED: u8 = 2;

/// Becomes a sandbox process where the arguments say so; `None` means this is an ordinary start.
///
/// Call it first thing in `main`, with the arguments including the program's own name, before any thread
/// is started: a process with threads cannot enter a user namespace, and a fork would lose them.
pub fn reenter(args: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut words = args.into_iter().skip(1);
    let first = words.next()?;
    if first == OUTER {
        let probe = words.next().is_some_and(|second| second == PROBE);
        return Some(if probe { probe_cwd() } else { outer::run() });
    }
    (first == INNER).then(init::run)
}

/// A probe succeeds when it can list its working directory: a functions directory that the function's
/// user cannot read would make every function fail.
fn probe_cwd() -> ExitCode {
    match std::fs::read_dir(".") {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
