//! What a function's calls amount to: how many come, how many are there at a time, when it was used last. And whether it may
//! be put to sleep just now, which a call that comes at the same moment decides.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use faas_scaling::load::Second;
use tokio::sync::watch;
use tokio::time::Instant;

/// The calls of one function. A lock for a few additions is cheaper than two atomics that have to be read as one.
#[derive(Debug)]
pub(crate) struct Meter {
    counters: Mutex<Counters>,
    /// Whether the function is being put to sleep.
    falling: watch::Sender<bool>,
}

#[derive(Debug)]
struct Counters {
    /// In this second so far.
    arrivals: u64,
    succeeded: u64,
    /// Seconds of calls, several at a time counted each.
    busy: f64,
    /// When this second began, and up to when `busy` is counted.
    second: Instant,
    counted: Instant,
    /// Now: calls that wait or are in flight, and those of them that wait.
    calls: u64,
    waiting: u64,
    used: Option<Instant>,
}

/// How busy a function is at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Now {
    /// Calls that wait or are in flight.
    pub(crate) calls: u64,
    /// Those of them that wait for a replica.
    pub(crate) waiting: u64,
    /// When a call began or ended last.
    pub(crate) used: Option<Instant>,
}

impl Default for Meter {
    fn default() -> Self {
        let now = Instant::now();
        let counters = Counters {
            arrivals: 0,
            succeeded: 0,
            busy: 0.0,
            second: now,
            counted: now,
            calls: 0,
            waiting: 0,
            used: None,
        };
        Self {
            counters: Mutex::new(counters),
            falling: watch::Sender::new(false),
        }
    }
}

impl Meter {
    /// Counts a call from its arrival to when the guard is dropped.
    pub(crate) fn arrived(self: &Arc<Self>) -> Arrived {
        let mut counters = self.counters();
        counters.count_up_to(Instant::now());
        counters.arrivals += 1;
        counters.calls += 1;
        drop(counters);
        Arrived {
            meter: Arc::clone(self),
            succeeded: false,
        }
    }

    /// Counts a call, which has arrived, among those that wait until the guard is dropped.
    pub(crate) fn waits(&self) -> Waits<'_> {
        self.counters().waiting += 1;
        Waits(self)
    }

    /// What the second that ends now brought; the next one begins.
    pub(crate) fn second(&self) -> Second {
        let mut counters = self.counters();
        let now = Instant::now();
        let used = counters.used;
        counters.count_up_to(now);
        counters.used = used;
        let length = now.duration_since(counters.second).as_secs_f64();
        let second = Second {
            arrivals: std::mem::take(&mut counters.arrivals),
            succeeded: std::mem::take(&mut counters.succeeded),
            concurrency: std::mem::take(&mut counters.busy) / length.max(f64::EPSILON),
        };
        counters.second = now;
        second
    }

    pub(crate) fn now(&self) -> Now {
        let counters = self.counters();
        Now {
            calls: counters.calls,
            waiting: counters.waiting,
            used: counters.used,
        }
    }

    /// Begins to put the function to sleep, if no call is there: those that come from now on wait until the guard is dropped,
    /// and look again then.
    pub(crate) fn fall(self: &Arc<Self>) -> Option<Falling> {
        // Under the lock, so that a call has either arrived before, or sees it.
        let counters = self.counters();
        let quiet = counters.calls == 0;
        quiet.then(|| {
            self.falling.send_replace(true);
            Falling(Arc::clone(self))
        })
    }

    /// Whether the function is being put to sleep; to be asked once the call has arrived.
    pub(crate) fn is_falling(&self) -> bool {
        *self.falling.borrow()
    }

    /// Waits until that is over.
    pub(crate) async fn fallen(&self) {
        let _ = self.falling.subscribe().wait_for(|falling| !falling).await;
    }

    fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters {
    fn count_up_to(&mut self, now: Instant) {
        let passed = now.duration_since(self.counted).as_secs_f64();
        self.busy += passed * self.calls as f64;
        self.counted = now;
        self.used = Some(now);
    }
}

/// A call that has arrived and has not ended.
#[derive(Debug)]
pub(crate) struct Arrived {
    meter: Arc<Meter>,
    /// Whether it was answered 200.
    pub(crate) succeeded: bool,
}

impl Drop for Arrived {
    fn drop(&mut self) {
        let mut counters = self.meter.counters();
        counters.count_up_to(Instant::now());
        counters.calls -= 1;
        counters.succeeded += u64::from(self.succeeded);
    }
}

/// A call that waits.
pub(crate) struct Waits<'a>(&'a Meter);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.counters().waiting -= 1;
    }
}

/// A function that is being put to sleep.
pub(crate) struct Falling(Arc<Meter>);

impl Drop for Falling {
    fn drop(&mut self) {
        self.0.falling.send_replace(false);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    fn half_a_second() -> impl Future<Output = ()> {
        advance(Duration::from_millis(500))
    }

    #[tokio::test(start_paused = true)]
    async fn calls_count_for_as_long_as_they_last() {
        let meter = Arc::new(Meter::default());
        let mut first = meter.arrived();
        half_a_second().await;
        let second = meter.arrived();
        half_a_second().await;
        let found = meter.second();
        assert_eq!(
            (found.arrivals, found.succeeded, found.concurrency),
            (2, 0, 1.5)
        );
        first.succeeded = true;
        drop(first);
        half_a_second().await;
        drop(second);
        half_a_second().await;
        let found = meter.second();
        assert_eq!(
            (found.arrivals, found.succeeded, found.concurrency),
            (0, 1, 0.5)
        );
        assert_eq!(meter.second().arrivals, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_without_calls_is_no_use() {
        let meter = Arc::new(Meter::default());
        assert_eq!(meter.now(), Now::default());
        drop(meter.arrived());
        let used = meter.now().used;
        half_a_second().await;
        meter.second();
        assert_eq!(meter.now().used, used);
    }

    #[tokio::test]
    async fn a_call_that_is_there_keeps_a_function_awake_and_one_that_comes_waits_until_it_has_fallen()
     {
        let meter = Arc::new(Meter::default());
        let call = meter.arrived();
        assert!(meter.fall().is_none());
        drop(call);
        let falling = meter.fall().unwrap();
        let call = meter.arrived();
        assert!(meter.is_falling());
        let waiting = tokio::spawn({
            let meter = Arc::clone(&meter);
            async move { meter.fallen().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(falling);
        waiting.await.unwrap();
        assert!(!meter.is_falling());
        drop(call);
    }
}
