//! Which processes are ours: process 1 must not reap them from under the calls that wait for them.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::unistd::Pid;

/// The direct children that have not been waited for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Children(Arc<Mutex<HashSet<Pid>>>);

impl Children {
    /// Starts a child and remembers it in one step, so that nobody sees it before it is known.
    pub(super) fn start(
        &self,
        spawn: impl FnOnce() -> io::Result<(Pid, tokio::process::Child)>,
    ) -> io::Result<(Pid, tokio::process::Child)> {
        let mut known = self.lock();
        let (pid, child) = spawn()?;
        known.insert(pid);
        Ok((pid, child))
    }

    pub(super) fn forget(&self, pid: Pid) {
        self.lock().remove(&pid);
    }

    pub(super) fn contains(&self, pid: Pid) -> bool {
        self.lock().contains(&pid)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Pid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
