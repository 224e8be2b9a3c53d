//! What became of the calls that carried a mark.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

/// More marks than any run makes.
const MOST: usize = 10_000;

#[derive(Clone, Copy, Default)]
struct Count {
    began: u64,
    ended: u64,
    cancelled: u64,
}

/// The calls of this replica, by mark.
#[derive(Clone, Default)]
pub(super) struct Counts(Arc<Mutex<HashMap<String, Count>>>);

/// One call at work. When it is dropped without having ended, its caller has gone.
pub(super) struct Counted {
    counts: Counts,
    mark: Option<String>,
    ended: bool,
}

impl Counts {
    pub(super) fn begin(&self, mark: Option<String>) -> Counted {
        self.change(mark.as_deref(), |count| count.began += 1);
        Counted {
            counts: self.clone(),
            mark,
            ended: false,
        }
    }

    pub(super) fn read(&self, mark: &str) -> Value {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(mark).copied().unwrap_or_default();
        json!({"began": count.began, "ended": count.ended, "cancelled": count.cancelled})
    }

    fn change(&self, mark: Option<&str>, change: impl FnOnce(&mut Count)) {
        let Some(mark) = mark else {
            return;
        };
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() < MOST || counts.contains_key(mark) {
            change(counts.entry(mark.to_owned()).or_default());
        }
    }
}

impl Counted {
    pub(super) fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let ended = self.ended;
        self.counts
            .change(self.mark.as_deref(), |count| match ended {
                true => count.ended += 1,
                false => count.cancelled += 1,
            });
    }
}
