//! Timers that cost little where they seldom ring.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// A moment that is waited for beside something else. The runtime hears of it only once somebody waits, and again only
/// when an earlier moment has passed: one alarm serves all calls of a connection, and is set once for many of them.
#[derive(Debug)]
pub(crate) struct Alarm {
    at: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    pub(crate) fn at(at: Instant) -> Self {
        Self { at, timer: None }
    }

    /// Waits for another moment from now on.
    pub(crate) fn set(&mut self, at: Instant) {
        self.at = at;
    }

    /// Ready from that moment on.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(self.at)));
        if timer.deadline() > self.at {
            timer.as_mut().reset(self.at);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= self.at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(self.at);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_its_moment_whether_set_later_or_sooner() {
        let begun = Instant::now();
        let seconds = |seconds| begun + Duration::from_secs(seconds);
        let mut alarm = Alarm::at(seconds(5));
        let waited = tokio::time::timeout(Duration::from_secs(1), poll_fn(|cx| alarm.poll(cx)));
        assert!(waited.await.is_err());
        alarm.set(seconds(9));
        poll_fn(|cx| alarm.poll(cx)).await;
        assert_eq!(begun.elapsed().as_secs(), 9);
        alarm.set(seconds(20));
        let waited = tokio::time::timeout(Duration::from_secs(1), poll_fn(|cx| alarm.poll(cx)));
        assert!(waited.await.is_err());
        alarm.set(seconds(12));
        poll_fn(|cx| alarm.poll(cx)).await;
        assert_eq!(begun.elapsed().as_secs(), 12);
    }
}
