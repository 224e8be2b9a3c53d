//! Process 1 of a container inherits what functions leave behind, and is the only one who can reap it.

use std::time::Duration;

use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use super::Children;

/// Pause before looking again when one of our own children waits to be reaped by its call.
const OWN_CHILD_PAUSE: Duration = Duration::from_millis(20);

/// Reaps orphans for ever. Our own children are left to those who wait for their exit status.
pub(crate) async fn reap_orphans(children: Children) {
    let Ok(mut ended) = signal(SignalKind::child()) else {
        log!("Warning: orphans of functions cannot be reaped");
        return;
    };
    loop {
        while let Some(pid) = ended_process() {
            if children.contains(pid) {
                sleep(OWN_CHILD_PAUSE).await;
            } else {
                let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
            }
        }
        if ended.recv().await.is_none() {
            return;
        }
    }
}

/// A process that has ended and was not reaped, without reaping it.
fn ended_process() -> Option<Pid> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::All, flags) {
        Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) => Some(pid),
        _ => None,
    }
}
