//! The processes of a function's replicas, for those who measure them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Sandboxes that run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running(Arc<Mutex<BTreeSet<u32>>>);

/// One of them, until it is dropped.
pub(super) struct Entered {
    running: Running,
    pid: u32,
}

impl Running {
    pub(super) fn enter(&self, pid: u32) -> Entered {
        self.pids().insert(pid);
        Entered {
            running: self.clone(),
            pid,
        }
    }

    /// Process ids, as the machine sees them.
    pub(crate) fn all(&self) -> Vec<u32> {
        self.pids().iter().copied().collect()
    }

    fn pids(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.running.pids().remove(&self.pid);
    }
}
