//! Which processes are ours: process 1 must not reap them from under the calls that wait for them.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use nix::unistd::Pid;

/// The direct children that have not been waited for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Children(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Read while a child is being started, so that several can be at once; written by whoever needs to know all.
    starting: RwLock<()>,
    pids: Mutex<HashSet<Pid>>,
}

impl Children {
    /// Starts a child and remembers it in one step, so that nobody takes it for a stranger in between.
    pub(super) fn start(&self, spawn: impl FnOnce() -> io::Result<Pid>) -> io::Result<Pid> {
        let _starting = self
            .0
            .starting
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let pid = spawn()?;
        self.lock().insert(pid);
        Ok(pid)
    }

    pub(super) fn forget(&self, pid: Pid) {
        self.lock().remove(&pid);
    }

    pub(super) fn contains(&self, pid: Pid) -> bool {
        let _none_starting = self
            .0
            .starting
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        self.lock().contains(&pid)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Pid>> {
        self.0.pids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
