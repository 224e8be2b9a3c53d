//! When calls are due, and who makes them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// The longest sleep at a stretch: so soon an interruption is heeded.
const NAP: Duration = Duration::from_millis(50);

/// Calls that become due one after the other, whatever becomes of those before.
pub(super) struct Schedule {
    began: Instant,
    rate: f64,
    calls: u64,
    /// A permit for each call that is due and that nobody has taken.
    due: Semaphore,
    taken: AtomicU64,
    stopped: AtomicBool,
}

impl Schedule {
    /// `calls` of them at `rate` a second, the first at once.
    pub(super) fn new(rate: f64, calls: u64) -> Self {
        Self {
            began: Instant::now(),
            rate,
            calls,
            due: Semaphore::new(0),
            taken: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    /// Waits for the next call to be due; when that was. `None` when all have been taken.
    pub(super) async fn next(&self) -> Option<Instant> {
        self.due.acquire().await.ok()?.forget();
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        (number < self.calls).then(|| self.due_at(number))
    }

    /// Releases every call when it is due, then as many that take call as `callers`, to send them home. It tells of each how
    /// late it was, and whether nobody was free to take it.
    ///
    /// It keeps a thread busy: the runtime's timers know milliseconds only.
    pub(super) fn pace(&self, callers: usize, mut tell: impl FnMut(Duration, bool)) {
        for number in 0..self.calls {
            let due = self.due_at(number);
            if !self.sleep_until(due) {
                return;
            }
            // Permits go to those who wait: what is left over waits for them.
            let crowded = self.due.available_permits() > 0;
            self.due.add_permits(1);
            tell(due.elapsed(), crowded);
        }
        self.due.add_permits(callers);
    }

    /// Nothing is released any more.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// From the first call to the moment after this many calls.
    fn after(&self, calls: u64) -> Duration {
        Duration::from_secs_f64(calls as f64 / self.rate)
    }

    fn due_at(&self, number: u64) -> Instant {
        self.began + self.after(number)
    }

    /// From the first call's due time to `last`, when the last one was sent, and the gap to the next.
    pub(super) fn sending(&self, last: Instant) -> Duration {
        last.saturating_duration_since(self.began) + self.after(1)
    }

    fn sleep_until(&self, due: Instant) -> bool {
        loop {
            if self.stopped.load(Ordering::Relaxed) {
                return false;
            }
            match due.saturating_duration_since(Instant::now()) {
                Duration::ZERO => return true,
                left => thread::sleep(left.min(NAP)),
            }
        }
    }
}
