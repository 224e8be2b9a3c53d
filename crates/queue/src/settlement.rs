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
    /// Its body, which was stored apart from it, is not there any more.
    BodyLost,
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
            Self::BodyLost => f.write_str("body_lost"),
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
mod tests;
