//! Adding up what process trees use, where no cgroup does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::Sandbox;
use super::processes::{Table, processor_time, resident_bytes};

/// One reading serves all replicas that ask within this time.
const FRESH: Duration = Duration::from_millis(200);

/// The last reading of the machine's processes.
#[derive(Debug, Default)]
pub(super) struct Readings {
    last: Mutex<Option<(Instant, Arc<Table>)>>,
}

/// What a replica uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// Processor time since it was started.
    pub cpu: Duration,
    /// Memory that is in use now.
    pub memory_bytes: u64,
}

impl Sandbox {
    /// What the replica with this process id uses; nothing, where it has ended. Reads /proc, so it blocks.
    pub fn used(&self, pid: u32) -> Used {
        let tree = self.shared.readings.tree(Pid::from_raw(pid.cast_signed()));
        Used {
            cpu: tree.iter().map(|pid| processor_time(*pid)).sum(),
            memory_bytes: tree.iter().map(|pid| resident_bytes(*pid)).sum(),
        }
    }
}

impl Readings {
    /// Memory of a process and everything below it, in bytes. Reads /proc, so it blocks.
    pub(super) fn tree_bytes(&self, root: Pid) -> u64 {
        self.tree(root).into_iter().map(resident_bytes).sum()
    }

    /// A process and everything below it.
    fn tree(&self, root: Pid) -> Vec<Pid> {
        let mut tree = self.table().descendants(root);
        tree.push(root);
        tree
    }

    fn table(&self) -> Arc<Table> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read, table)) = &*last
            && read.elapsed() < FRESH
        {
            return table.clone();
        }
        let table = Arc::new(Table::read());
        *last = Some((Instant::now(), table.clone()));
        table
    }
}
