//! Adding up the memory of process trees, where no cgroup does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::processes::{Table, resident_bytes};

/// One reading serves all replicas that ask within this time.
const FRESH: Duration = Duration::from_millis(200);

/// The last reading of the machine's processes.
#[derive(Debug, Default)]
pub(super) struct Readings {
    last: Mutex<Option<(Instant, Arc<Table>)>>,
}

impl Readings {
    /// Memory of a process and everything below it, in bytes. Reads /proc, so it blocks.
    pub(super) fn tree_bytes(&self, root: Pid) -> u64 {
        let table = self.table();
        let below = table.descendants(root).into_iter();
        below.chain([root]).map(resident_bytes).sum()
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
