//! The time as stores tell it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells the time in milliseconds since 1970.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now_ms(&self) -> u64;
}

/// The wall clock as it was at the start, and from then on the time that has really passed: a step of the wall clock, by
/// hand or from the network, makes no call old.
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock {
    /// Since 1970. Whole, so that times rounded down are in order with those that the wall clock tells.
    start: Duration,
    since: Instant,
}

impl Default for SteadyClock {
    fn default() -> Self {
        let since = Instant::now();
        let start = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            start: start.unwrap_or_default(),
            since,
        }
    }
}

impl Clock for SteadyClock {
    fn now_ms(&self) -> u64 {
        millis(self.start.saturating_add(self.since.elapsed()))
    }
}

/// A duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
