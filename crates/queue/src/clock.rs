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
    start_ms: u64,
    since: Instant,
}

impl Default for SteadyClock {
    fn default() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            start_ms: millis(since_epoch.unwrap_or_default()),
            since: Instant::now(),
        }
    }
}

impl Clock for SteadyClock {
    fn now_ms(&self) -> u64 {
        self.start_ms.saturating_add(millis(self.since.elapsed()))
    }
}

/// A duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
