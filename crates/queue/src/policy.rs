//! What is promised about retries: the worker's settings, and a function's annotations over them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Most retries of one function's calls.
pub const ATTEMPTS_ANNOTATION: &str = "com.openfaas.retry.attempts";
/// Statuses that are retried, separated by commas.
pub const CODES_ANNOTATION: &str = "com.openfaas.retry.codes";
/// First wait.
pub const MIN_WAIT_ANNOTATION: &str = "com.openfaas.retry.min_wait";
/// Longest wait.
pub const MAX_WAIT_ANNOTATION: &str = "com.openfaas.retry.max_wait";
/// The queue that a function's calls wait in.
pub const QUEUE_ANNOTATION: &str = "com.openfaas.queue";
/// Most calls of one function at once.
pub const INFLIGHT_ANNOTATION: &str = "com.openfaas.queue.max_inflight";
/// Longest wait for an answer to begin.
pub const TIMEOUT_ANNOTATION: &str = "com.openfaas.timeout";
/// The annotations that travel with a call.
pub const ANNOTATIONS: [&str; 7] = [
    TIMEOUT_ANNOTATION,
    ATTEMPTS_ANNOTATION,
    CODES_ANNOTATION,
    MIN_WAIT_ANNOTATION,
    MAX_WAIT_ANNOTATION,
    QUEUE_ANNOTATION,
    INFLIGHT_ANNOTATION,
];

/// Statuses that no setting makes retried: the same call would get the same answer.
pub const NEVER_RETRIED: [u16; 4] = [400, 401, 404, 413];

/// How waits between attempts grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backoff {
    /// Doubled each time.
    #[default]
    Exponential,
    /// Anything up to that.
    Full,
    /// Half of it, and anything up to the other half.
    Equal,
}

/// When a call that failed is made again, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Most retries; a call is made once more than that.
    pub max_retries: u32,
    /// Statuses that are retried.
    pub codes: BTreeSet<u16>,
    /// Wait before the first retry.
    pub min_wait: Duration,
    /// Longest wait before a retry.
    pub max_wait: Duration,
    /// How waits grow.
    pub backoff: Backoff,
    /// Age at which a call is given up.
    pub max_age: Duration,
    /// Whether a call that the function refused for good is a dead letter; otherwise it has just failed.
    pub dead_on_permanent: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 10,
            codes: BTreeSet::from([408, 429, 500, 502, 503, 504]),
            min_wait: Duration::from_secs(10),
            max_wait: Duration::from_secs(120),
            backoff: Backoff::Exponential,
            max_age: Duration::from_secs(24 * 60 * 60),
            dead_on_permanent: true,
        }
    }
}

impl RetryPolicy {
    /// This policy with a function's annotations over it. What an annotation cannot mean is told in a line each, and the
    /// setting stays. `duration` reads durations.
    #[must_use]
    pub fn with(
        &self,
        annotations: &BTreeMap<String, String>,
        duration: impl Fn(&str) -> Option<Duration>,
    ) -> (Self, Vec<String>) {
        let mut policy = self.clone();
        let mut odd = Vec::new();
        let mut set = |name: &str, read: &mut dyn FnMut(&str) -> bool| {
            if let Some(text) = annotations.get(name)
                && !read(text.trim())
            {
                odd.push(format!("{name}: `{text}` is not understood, and left out"));
            }
        };
        set(ATTEMPTS_ANNOTATION, &mut |text| {
            replace(&mut policy.max_retries, text.parse().ok())
        });
        set(CODES_ANNOTATION, &mut |text| {
            replace(&mut policy.codes, codes(text))
        });
        set(MIN_WAIT_ANNOTATION, &mut |text| {
            replace(&mut policy.min_wait, duration(text))
        });
        set(MAX_WAIT_ANNOTATION, &mut |text| {
            replace(&mut policy.max_wait, duration(text))
        });
        (policy, odd)
    }

    /// The wait before retry number `retry` (1 is the first); `draw`, from 0 to 1, decides where it is a matter of chance.
    #[must_use]
    pub fn wait(&self, retry: u32, draw: f64) -> Duration {
        let doubled = 2u32.saturating_pow(retry.saturating_sub(1));
        let base = self.min_wait.saturating_mul(doubled).min(self.max_wait);
        match self.backoff {
            Backoff::Exponential => base,
            Backoff::Full => base.mul_f64(draw),
            Backoff::Equal => base / 2 + (base / 2).mul_f64(draw),
        }
    }
}

fn replace<T>(place: &mut T, value: Option<T>) -> bool {
    let known = value.is_some();
    if let Some(value) = value {
        *place = value;
    }
    known
}

/// Statuses separated by commas; `None` where one is none, or is never retried.
#[must_use]
pub fn codes(text: &str) -> Option<BTreeSet<u16>> {
    let code = |text: &str| {
        let code = text.trim().parse().ok()?;
        let can_be = (100..600).contains(&code) && !NEVER_RETRIED.contains(&code);
        can_be.then_some(code)
    };
    text.split(',').map(code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_the_longest() {
        let policy = RetryPolicy::default();
        let waits: Vec<u64> = (1..=6)
            .map(|retry| policy.wait(retry, 0.5).as_secs())
            .collect();
        assert_eq!(waits, [10, 20, 40, 80, 120, 120]);
        assert_eq!(policy.wait(u32::MAX, 0.0), policy.max_wait);
    }

    #[test]
    fn chance_stays_within_the_base() {
        let with = |backoff| RetryPolicy {
            backoff,
            ..RetryPolicy::default()
        };
        for (backoff, draw, wait) in [
            (Backoff::Full, 0.0, 0),
            (Backoff::Full, 0.5, 10),
            (Backoff::Full, 1.0, 20),
            (Backoff::Equal, 0.0, 10),
            (Backoff::Equal, 1.0, 20),
        ] {
            assert_eq!(
                with(backoff).wait(2, draw),
                SECOND * wait,
                "{backoff:?} {draw}"
            );
        }
    }

    #[test]
    fn annotations_replace_settings_and_odd_ones_do_not() {
        let seconds = |text: &str| {
            text.strip_suffix('s')?
                .parse()
                .ok()
                .map(Duration::from_secs)
        };
        let annotated = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            RetryPolicy::default().with(&pairs.collect(), seconds)
        };
        let (policy, odd) = annotated(&[
            (ATTEMPTS_ANNOTATION, "3"),
            (CODES_ANNOTATION, "500, 418"),
            (MIN_WAIT_ANNOTATION, "0s"),
            (MAX_WAIT_ANNOTATION, "4s"),
        ]);
        assert!(odd.is_empty(), "{odd:?}");
        assert_eq!(
            (policy.max_retries, policy.min_wait, policy.max_wait),
            (3, Duration::ZERO, SECOND * 4)
        );
        assert_eq!(policy.codes, BTreeSet::from([418, 500]));

        let (policy, odd) = annotated(&[
            (ATTEMPTS_ANNOTATION, "-1"),
            (CODES_ANNOTATION, "500,404"),
            (MIN_WAIT_ANNOTATION, "soon"),
            (MAX_WAIT_ANNOTATION, ""),
        ]);
        assert_eq!(policy, RetryPolicy::default());
        assert_eq!(odd.len(), 4, "{odd:?}");
    }
}
