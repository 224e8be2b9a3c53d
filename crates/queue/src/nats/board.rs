//! What a worker knows of the functions that may have something to take, so that it need not ask for each.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Depth;

/// What is known of one function.
#[derive(Default)]
struct Line {
    /// Calls that may be there to take.
    calls: u64,
    /// Since when.
    since_ms: u64,
    /// When calls that were given back become due.
    due: BTreeSet<u64>,
}

/// What is known of all of them, and of callbacks.
#[derive(Default)]
pub(super) struct Board(Mutex<Lines>);

#[derive(Default)]
struct Lines {
    functions: HashMap<String, Line>,
    callbacks: bool,
    callbacks_due: BTreeSet<u64>,
}

impl Board {
    /// There is one more call, or there may be.
    pub(super) fn wake(&self, function: &str, now_ms: u64) {
        let mut lines = self.lock();
        lines.wake(function, 1, now_ms);
    }

    /// A call comes back then.
    pub(super) fn comes_back(&self, function: &str, due_ms: u64) {
        let mut lines = self.lock();
        let line = lines.functions.entry(function.to_owned()).or_default();
        line.due.insert(due_ms);
    }

    /// These are the calls that there are, held or not.
    pub(super) fn counted(&self, counts: &HashMap<String, u64>, now_ms: u64) {
        let mut lines = self.lock();
        for (function, calls) in counts {
            let known = lines.functions.get(function).map_or(0, |line| line.calls);
            lines.wake(function, calls.saturating_sub(known), now_ms);
        }
        lines
            .functions
            .retain(|function, line| counts.contains_key(function) || line.calls > 0);
    }

    /// So many were taken; where they were fewer than asked for, there are no more.
    pub(super) fn taken(&self, function: &str, calls: usize, all: bool) {
        let mut lines = self.lock();
        if let Some(line) = lines.functions.get_mut(function) {
            let left = line.calls.saturating_sub(calls as u64);
            line.calls = if all { 0 } else { left.max(1) };
        }
    }

    /// Functions with calls to take, or that will have some.
    pub(super) fn waiting(&self, now_ms: u64) -> Vec<Depth> {
        let mut lines = self.lock();
        let mut depths = Vec::new();
        for (function, line) in &mut lines.functions {
            let later = line.due.split_off(&now_ms.saturating_add(1));
            let due = std::mem::replace(&mut line.due, later);
            if let Some(first) = due.first() {
                line.since_ms = if line.calls == 0 {
                    *first
                } else {
                    line.since_ms
                };
                line.calls += due.len() as u64;
            }
            let due_ms = match line.calls {
                0 => line.due.first().copied(),
                _ => Some(line.since_ms),
            };
            depths.extend(due_ms.map(|due_ms| Depth {
                function: function.clone(),
                waiting: line.calls,
                running: 0,
                due_ms: Some(due_ms),
            }));
        }
        depths.sort_by_key(|depth| depth.due_ms);
        depths
    }

    /// There are callbacks to take, or there may be.
    pub(super) fn wake_callbacks(&self) {
        self.lock().callbacks = true;
    }

    /// A callback comes back then.
    pub(super) fn callback_comes_back(&self, due_ms: u64) {
        self.lock().callbacks_due.insert(due_ms);
    }

    pub(super) fn no_callbacks(&self) {
        self.lock().callbacks = false;
    }

    pub(super) fn callbacks_due(&self, now_ms: u64) -> bool {
        let mut lines = self.lock();
        let later = lines.callbacks_due.split_off(&now_ms.saturating_add(1));
        let due = std::mem::replace(&mut lines.callbacks_due, later);
        lines.callbacks |= !due.is_empty();
        lines.callbacks
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn wake(&mut self, function: &str, calls: u64, now_ms: u64) {
        if calls == 0 {
            return;
        }
        let line = self.functions.entry(function.to_owned()).or_default();
        if line.calls == 0 {
            line.since_ms = now_ms;
        }
        line.calls += calls;
    }
}
