//! Waiting for a condition, with a deadline.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::failure::{Failure, Outcome};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// On a machine that stands still for a while, time alone would say that something never came.
const FEWEST: u32 = 4;

/// Where each attempt takes longer than the limit, that many are not waited for either, but only so many limits.
const AT_MOST: u32 = 2;

const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How long a start-up is waited for once the first has failed and none has succeeded.
const SHORT: Duration = Duration::from_secs(5);

/// How long it is worth waiting for functions to come up. On a platform where none ever does,
/// the full wait for each would make a run take the better part of an hour.
#[derive(Default)]
pub(crate) struct Patience {
    rewarded: AtomicBool,
    lost: AtomicBool,
}

impl Patience {
    /// Waits like [`eventually`], and learns from how it ends.
    pub(crate) async fn wait<T, A, F>(&self, limit: Duration, attempt: A) -> Outcome<T>
    where
        A: FnMut() -> F,
        F: Future<Output = Outcome<T>>,
    {
        let rewarded = self.rewarded.load(Ordering::Relaxed);
        let limit = match self.lost.load(Ordering::Relaxed) && !rewarded {
            true => limit.min(SHORT),
            false => limit,
        };
        let outcome = eventually(limit, attempt).await;
        let flag = match &outcome {
            Ok(_) => &self.rewarded,
            Err(_) => &self.lost,
        };
        flag.store(true, Ordering::Relaxed);
        outcome
    }
}

/// Repeats `attempt` until it holds or `limit` has passed; the last failure is the evidence.
pub(crate) async fn eventually<T, A, F>(limit: Duration, mut attempt: A) -> Outcome<T>
where
    A: FnMut() -> F,
    F: Future<Output = Outcome<T>>,
{
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut attempts = 1;
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(failure) if is_over(attempts, started.elapsed() + pause, limit) => {
                return Err(after(failure, attempts, started.elapsed()));
            }
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause = LONGEST_PAUSE.min(pause * 2);
        attempts += 1;
    }
}

fn is_over(attempts: u32, next: Duration, limit: Duration) -> bool {
    let fair = attempts >= FEWEST || next > limit.saturating_mul(AT_MOST);
    fair && next > limit
}

fn after(failure: Failure, attempts: u32, elapsed: Duration) -> Failure {
    let waited = format!("{attempts} attempts in {:.1} s", elapsed.as_secs_f64());
    Failure {
        got: format!("{} (the last of {waited})", failure.got),
        ..failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Duration = Duration::from_secs(60);

    /// How long a wait that ends this way takes. Time is paused, so none passes.
    async fn waited(patience: &Patience, outcome: Outcome) -> Duration {
        let started = Instant::now();
        let attempt = || std::future::ready(outcome.clone());
        let _ = patience.wait(FULL, attempt).await;
        started.elapsed()
    }

    fn never() -> Outcome {
        Err(Failure::new("a replica", "none"))
    }

    #[tokio::test(start_paused = true)]
    async fn where_nothing_ever_comes_up_only_the_first_wait_is_a_long_one() {
        let patience = Patience::default();
        assert!(waited(&patience, never()).await > FULL / 2);
        assert!(waited(&patience, never()).await <= SHORT);
    }

    #[tokio::test(start_paused = true)]
    async fn where_something_has_come_up_every_wait_is_a_long_one() {
        let patience = Patience::default();
        assert!(waited(&patience, never()).await > FULL / 2);
        assert_eq!(waited(&patience, Ok(())).await, Duration::ZERO);
        assert!(waited(&patience, never()).await > FULL / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_take_longer_than_the_limit_are_not_many() {
        let started = Instant::now();
        let attempt = async || {
            tokio::time::sleep(FULL).await;
            never()
        };
        let outcome = eventually(FULL / 2, attempt).await;
        assert!(outcome.is_err());
        assert_eq!(started.elapsed(), FULL);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_tells_how_often_and_how_long_was_tried() {
        let attempt = || std::future::ready(never());
        let outcome = eventually(Duration::from_secs(1), attempt).await;
        let got = outcome.err().map(|failure| failure.got);
        assert_eq!(
            got.as_deref(),
            Some("none (the last of 6 attempts in 0.6 s)")
        );
    }
}
