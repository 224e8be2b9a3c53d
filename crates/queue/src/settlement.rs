//! What becomes of a call after an attempt: one pure function, the same for every back-end.

use std::fmt;
use std::time::Duration;

use crate::policy::{NEVER_RETRIED, RetryPolicy};

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With an answer, read to its end.
    Answered {
        /// Its status.
        status: u16,
        /// Whether it says, by `X-OpenFaaS-Internal`, that the platform gave it and not the function.
        internal: bool,
        /// What `Retry-After` asks for.
        retry_after: Option<Duration>,
    },
    /// Without one, in the time there was.
    TimedOut,
    /// The connection, or the answer, broke off: the call may have run.
    Broken,
    /// The gateway could not be reached: the call has not run.
    Unreachable,
    /// It was cancelled.
    Cancelled,
}

/// What is known about the call besides.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Situation {
    /// Attempts that failed before this one.
    pub failures: u32,
    /// Attempts in a row, before this one, that did not reach the gateway.
    pub unreachable: u32,
    /// Time since it was accepted.
    pub age: Duration,
    /// Whether the rate of calls follows 429s: such an answer is then no failure.
    pub adaptive: bool,
    /// Decides waits that are a matter of chance: 0 to 1.
    pub draw: f64,
}

/// Why a call became a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Every retry failed.
    RetriesExhausted,
    /// The answer had a status that is not retried.
    Http(u16),
    /// There is no such function any more.
    FunctionNotFound,
    /// What is stored cannot be read.
    Undecodable,
    /// It grew too old.
    Expired,
    /// It was taken again and again, and nobody told how it ended: it may be what kills workers.
    RedeliveryLimit,
    /// Its callback was not taken.
    CallbackFailed,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RetriesExhausted => f.write_str("retries_exhausted"),
            Self::Http(status) => write!(f, "http_{status}"),
            Self::FunctionNotFound => f.write_str("function_not_found"),
            Self::Undecodable => f.write_str("undecodable"),
            Self::Expired => f.write_str("expired"),
            Self::RedeliveryLimit => f.write_str("redelivery_limit"),
            Self::CallbackFailed => f.write_str("callback_failed"),
        }
    }
}

/// What is to be done with the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Succeeded,
    /// It failed for good, and nobody wants a dead letter of it.
    Failed,
    /// It is a dead letter.
    Dead(Reason),
    /// It was cancelled.
    Cancelled,
    /// It is to be made again.
    Retry {
        /// After this time.
        after: Duration,
        /// How the attempt counts.
        counts: Counts,
    },
}

/// What a call that goes back to the queue has used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// One of its retries.
    Failure,
    /// Nothing; the next wait for the gateway is longer.
    Unreachable,
    /// Nothing: it was not begun, or the function had no room for it.
    Nothing,
}

/// How long a call whose function has no room waits at least.
const NO_ROOM: Duration = Duration::from_millis(250);
/// Longest wait for a gateway that cannot be reached.
const UNREACHABLE_MOST: Duration = Duration::from_secs(30);

/// The settlement matrix.
#[must_use]
pub fn settle(outcome: Outcome, situation: &Situation, policy: &RetryPolicy) -> Verdict {
    let verdict = match outcome {
        Outcome::Cancelled => Verdict::Cancelled,
        Outcome::Answered { status, .. } if status < 400 => Verdict::Succeeded,
        Outcome::Answered {
            status: 429,
            retry_after,
            ..
        } if situation.adaptive => Verdict::Retry {
            after: retry_after.map_or(NO_ROOM, |asked| asked.max(policy.min_wait)),
            counts: Counts::Nothing,
        },
        Outcome::Answered {
            status,
            internal,
            retry_after,
        } => match is_retried(status, internal, policy) {
            true => retry(situation, policy, asked(status, retry_after)),
            false => refused(status, internal, policy),
        },
        Outcome::TimedOut | Outcome::Broken => retry(situation, policy, None),
        Outcome::Unreachable => Verdict::Retry {
            after: Duration::from_secs(2u64.saturating_pow(situation.unreachable))
                .min(UNREACHABLE_MOST),
            counts: Counts::Unreachable,
        },
    };
    match verdict {
        Verdict::Retry { after, .. } if situation.age.saturating_add(after) > policy.max_age => {
            Verdict::Dead(Reason::Expired)
        }
        verdict => verdict,
    }
}

fn is_retried(status: u16, internal: bool, policy: &RetryPolicy) -> bool {
    let of_the_platform = internal && (matches!(status, 408 | 429) || status >= 500);
    !NEVER_RETRIED.contains(&status) && (of_the_platform || policy.codes.contains(&status))
}

/// Only these two say how long to wait (RFC 9110, section 10.2.3; RFC 6585, section 4).
fn asked(status: u16, retry_after: Option<Duration>) -> Option<Duration> {
    retry_after.filter(|_| matches!(status, 429 | 503))
}

fn retry(situation: &Situation, policy: &RetryPolicy, asked: Option<Duration>) -> Verdict {
    let retry = situation.failures.saturating_add(1);
    if retry > policy.max_retries {
        return Verdict::Dead(Reason::RetriesExhausted);
    }
    let after = match asked {
        Some(asked) => {
            let left = policy.max_age.saturating_sub(situation.age);
            asked.min(left).max(policy.min_wait)
        }
        None => policy.wait(retry, situation.draw),
    };
    Verdict::Retry {
        after,
        counts: Counts::Failure,
    }
}

fn refused(status: u16, internal: bool, policy: &RetryPolicy) -> Verdict {
    match (status, internal) {
        (404, true) => Verdict::Dead(Reason::FunctionNotFound),
        _ if policy.dead_on_permanent => Verdict::Dead(Reason::Http(status)),
        _ => Verdict::Failed,
    }
}

/// How often a call may be taken without anybody telling how that ended.
const MOST_LOST: u32 = 5;

/// Whether a call was taken so often, without an end that is known, that it is not to be touched any more.
#[must_use]
pub fn is_lost_too_often(deliveries: u32, returns: u32) -> bool {
    deliveries.saturating_sub(1).saturating_sub(returns) > MOST_LOST
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn answered(status: u16, internal: bool) -> Outcome {
        let retry_after = None;
        Outcome::Answered {
            status,
            internal,
            retry_after,
        }
    }

    fn again(seconds: u64) -> Verdict {
        let after = Duration::from_secs(seconds);
        Verdict::Retry {
            after,
            counts: Counts::Failure,
        }
    }

    /// The matrix by another road: a table of ranges, first match wins.
    fn expected(status: u16, internal: bool, exhausted: bool) -> Verdict {
        let retried = match (status, internal) {
            (400 | 401 | 404 | 413, _) => false,
            (408 | 429 | 500 | 502 | 503 | 504, _) => true,
            (500.., true) => true,
            _ => false,
        };
        match (status, internal, retried, exhausted) {
            (..400, ..) => Verdict::Succeeded,
            (_, _, true, false) => again(10),
            (_, _, true, true) => Verdict::Dead(Reason::RetriesExhausted),
            (404, true, ..) => Verdict::Dead(Reason::FunctionNotFound),
            (status, ..) => Verdict::Dead(Reason::Http(status)),
        }
    }

    #[test]
    fn every_status_with_and_without_the_platforms_mark_and_retries() {
        let policy = RetryPolicy::default();
        for status in 100..600 {
            for internal in [false, true] {
                for failures in [0, policy.max_retries] {
                    let situation = Situation {
                        failures,
                        ..Situation::default()
                    };
                    assert_eq!(
                        settle(answered(status, internal), &situation, &policy),
                        expected(status, internal, failures > 0),
                        "{status} internal={internal} failures={failures}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_never_retried_is_not_whatever_the_settings_say() {
        let policy = RetryPolicy {
            codes: NEVER_RETRIED.into(),
            ..RetryPolicy::default()
        };
        for status in NEVER_RETRIED {
            for internal in [false, true] {
                let verdict = settle(answered(status, internal), &Situation::default(), &policy);
                assert!(matches!(verdict, Verdict::Dead(_)), "{status} {verdict:?}");
            }
        }
    }

    #[test]
    fn a_refusal_is_a_mere_failure_where_nobody_wants_dead_letters() {
        let policy = RetryPolicy {
            dead_on_permanent: false,
            ..RetryPolicy::default()
        };
        let verdict =
            |status, internal| settle(answered(status, internal), &Situation::default(), &policy);
        assert_eq!(verdict(400, false), Verdict::Failed);
        assert_eq!(verdict(404, true), Verdict::Dead(Reason::FunctionNotFound));
    }

    #[test]
    fn ends_without_an_answer() {
        let policy = RetryPolicy {
            max_retries: 2,
            ..RetryPolicy::default()
        };
        for outcome in [Outcome::TimedOut, Outcome::Broken] {
            for (failures, verdict) in [
                (0, again(10)),
                (1, again(20)),
                (2, Verdict::Dead(Reason::RetriesExhausted)),
            ] {
                let situation = Situation {
                    failures,
                    ..Situation::default()
                };
                assert_eq!(
                    settle(outcome, &situation, &policy),
                    verdict,
                    "{outcome:?} {failures}"
                );
            }
        }
        assert_eq!(
            settle(Outcome::Cancelled, &Situation::default(), &policy),
            Verdict::Cancelled
        );
    }

    #[test]
    fn a_gateway_that_is_away_uses_up_no_retry() {
        let policy = RetryPolicy {
            max_retries: 0,
            ..RetryPolicy::default()
        };
        for (unreachable, seconds) in [(0, 1), (1, 2), (2, 4), (4, 16), (5, 30), (1000, 30)] {
            let situation = Situation {
                unreachable,
                ..Situation::default()
            };
            let verdict = settle(Outcome::Unreachable, &situation, &policy);
            let after = Duration::from_secs(seconds);
            assert_eq!(
                verdict,
                Verdict::Retry {
                    after,
                    counts: Counts::Unreachable
                }
            );
        }
    }

    #[test]
    fn retry_after_replaces_the_wait_where_it_means_something() {
        let policy = RetryPolicy {
            min_wait: SECOND,
            ..RetryPolicy::default()
        };
        for (status, asked, wait) in [(429, 7, 7), (503, 7, 7), (429, 0, 1), (500, 7, 1)] {
            let retry_after = Some(Duration::from_secs(asked));
            let outcome = Outcome::Answered {
                status,
                internal: false,
                retry_after,
            };
            let verdict = settle(outcome, &Situation::default(), &policy);
            assert_eq!(verdict, again(wait), "{status} {asked}");
        }
    }

    #[test]
    fn no_room_is_no_failure_where_the_rate_follows_it() {
        let policy = RetryPolicy {
            max_retries: 0,
            min_wait: SECOND,
            ..RetryPolicy::default()
        };
        let situation = Situation {
            adaptive: true,
            ..Situation::default()
        };
        for (retry_after, after) in [
            (None, NO_ROOM),
            (Some(SECOND * 7), SECOND * 7),
            (Some(SECOND / 10), SECOND),
        ] {
            let outcome = Outcome::Answered {
                status: 429,
                internal: true,
                retry_after,
            };
            let verdict = settle(outcome, &situation, &policy);
            assert_eq!(
                verdict,
                Verdict::Retry {
                    after,
                    counts: Counts::Nothing
                }
            );
        }
    }

    #[test]
    fn a_call_that_would_be_too_old_at_its_next_attempt_is_given_up_now() {
        let policy = RetryPolicy {
            max_age: SECOND * 60,
            ..RetryPolicy::default()
        };
        for outcome in [
            answered(500, false),
            Outcome::TimedOut,
            Outcome::Unreachable,
        ] {
            for (age, dead) in [(50, false), (60, true)] {
                let situation = Situation {
                    age: SECOND * age,
                    ..Situation::default()
                };
                let verdict = settle(outcome, &situation, &policy);
                assert_eq!(
                    verdict == Verdict::Dead(Reason::Expired),
                    dead,
                    "{outcome:?} {age}"
                );
            }
        }
        let old = Situation {
            age: SECOND * 600,
            ..Situation::default()
        };
        assert_eq!(
            settle(answered(200, false), &old, &policy),
            Verdict::Succeeded
        );
    }

    #[test]
    fn a_call_that_nobody_tells_the_end_of_is_taken_six_times() {
        assert!(!is_lost_too_often(6, 0));
        assert!(is_lost_too_often(7, 0));
        assert!(!is_lost_too_often(100, 99));
        assert!(!is_lost_too_often(0, 7));
    }
}
