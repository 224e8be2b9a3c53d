//! One attempt: from taking a call to settling it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use faas_http::duration;
use faas_queue::policy::INFLIGHT_ANNOTATION;
use faas_queue::{
    Answer, Counts, Error, FormatError, Outcome, QueuedCall, Reason, RetryPolicy, Settlement,
    Situation, Taken, Verdict, is_lost_too_often, settle,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::call::Made;
use crate::dispatch::{Place, Seen};
use crate::worker::Shared;

/// Statuses of ours where there is no answer, as callbacks tell them.
const CANCELLED: u16 = 499;
const NO_ANSWER: u16 = 503;
const LATE: u16 = 504;

/// Pauses between attempts to settle.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Makes a call that is held and settles it. Its place is free for another one as soon as the function has answered.
pub(crate) async fn run(
    shared: Arc<Shared>,
    taken: Taken,
    cancel: CancellationToken,
    place: Place,
) {
    if taken.delivery > 1 && taken.returns + 1 < taken.delivery {
        shared.metrics.redelivered.inc();
    }
    let settlement = decide(&shared, &taken, place, &cancel).await;
    shared.metrics.decided(&taken, &settlement);
    store(&shared, &taken, settlement).await;
    shared.held.end(taken.id);
}

/// What becomes of the call.
async fn decide(
    shared: &Shared,
    taken: &Taken,
    place: Place,
    cancel: &CancellationToken,
) -> Settlement {
    let defaults = &shared.policy;
    // Before anything is done with what is stored: it may be what kills workers.
    if is_lost_too_often(taken.delivery, taken.returns) {
        return end(Verdict::Dead(Reason::RedeliveryLimit), defaults);
    }
    let mut call = match taken.call() {
        Ok(call) => call,
        Err(error @ FormatError::Newer(_)) if taken.age <= defaults.max_age => {
            let line = format!("a call is left to a newer worker: {error}");
            shared.warn_once(&taken.function, &line);
            let (after, counts) = (defaults.min_wait, Counts::Nothing);
            return end(Verdict::Retry { after, counts }, defaults);
        }
        Err(error) => {
            tracing::warn!(call = %taken.id, function = %taken.function, %error, "a call cannot be read");
            return end(Verdict::Dead(Reason::Undecodable), defaults);
        }
    };
    place.allows(most(&call.annotations, shared.config.max_inflight));
    let policy = policy(shared, &call);
    if taken.age > policy.max_age {
        let answer = wanted(&call, Some(Answer::of_status(LATE)));
        return Settlement {
            answer,
            ..end(Verdict::Dead(Reason::Expired), &policy)
        };
    }
    let began = Instant::now();
    let retries = (taken.failures, policy.max_retries);
    let made = tokio::select! {
        biased;
        () = cancel.cancelled() => Ok((Outcome::Cancelled, None)),
        made = make(shared, taken, &mut call, retries) => made,
    };
    let (outcome, answer) = match made {
        Ok(made) => made,
        Err((reason, error)) => {
            tracing::warn!(call = %taken.id, function = %taken.function, %error, "a call makes no request");
            return end(Verdict::Dead(reason), &policy);
        }
    };
    place.end(seen(shared, outcome));
    let situation = Situation {
        failures: taken.failures,
        unreachable: taken.unreachable,
        age: taken.age + began.elapsed(),
        adaptive: shared.config.limiter_enabled,
        draw: fastrand::f64(),
    };
    let verdict = settle(outcome, &situation, &policy);
    let status = status(outcome);
    let answer = match verdict {
        Verdict::Retry { .. } => None,
        Verdict::Dead(Reason::Expired) => Some(Answer::of_status(LATE)),
        _ => answer.or_else(|| status.map(Answer::of_status)),
    };
    Settlement {
        verdict,
        answer: wanted(&call, answer),
        status: status.filter(|_| outcome != Outcome::Cancelled),
        took: began.elapsed(),
        max_retries: policy.max_retries,
    }
}

/// Makes a call, with its body, wherever that is. Where the call never makes a request, why.
async fn make(
    shared: &Shared,
    taken: &Taken,
    call: &mut QueuedCall,
    retries: (u32, u32),
) -> Result<Made, (Reason, FormatError)> {
    let fetched = match shared.bodies.fetch(&*shared.queue, taken).await {
        Ok(fetched) => fetched,
        Err(Error::Format(error)) => return Err((Reason::BodyLost, error)),
        Err(error) => {
            tracing::warn!(call = %taken.id, %error, "the body of a call cannot be had yet");
            return Ok((Outcome::Unreachable, None));
        }
    };
    if let Some(fetched) = &fetched {
        call.body = fetched.body.clone();
    }
    let made = shared.gateway.make(call, retries).await;
    call.body = Bytes::new();
    made.map_err(|error| (Reason::Undecodable, error))
}

/// An end without an answer.
fn end(verdict: Verdict, policy: &RetryPolicy) -> Settlement {
    Settlement {
        verdict,
        answer: None,
        status: None,
        took: Duration::ZERO,
        max_retries: policy.max_retries,
    }
}

/// The answer, where anybody wants it.
fn wanted(call: &QueuedCall, answer: Option<Answer>) -> Option<Answer> {
    answer.filter(|_| call.keep_result || call.callback_url.is_some())
}

/// The settings with the function's annotations over them, as they were when the call was accepted.
fn policy(shared: &Shared, call: &QueuedCall) -> RetryPolicy {
    let read = |text: &str| duration::parse(text).ok();
    let (policy, odd) = shared.policy.with(&call.annotations, read);
    for line in odd {
        shared.warn_once(&call.function, &line);
    }
    policy
}

fn most(annotations: &BTreeMap<String, String>, default: usize) -> usize {
    let own = annotations.get(INFLIGHT_ANNOTATION);
    let own = own.and_then(|text| text.trim().parse().ok());
    own.filter(|most| *most > 0).unwrap_or(default)
}

/// What the attempt says of the function's room, and of the gateway.
fn seen(shared: &Shared, outcome: Outcome) -> Seen {
    match outcome {
        Outcome::Unreachable => shared.gate.unreached(),
        Outcome::Cancelled => {}
        _ => shared.gate.reached(),
    }
    match outcome {
        Outcome::Answered { status, .. } if status < 300 => Seen::Success,
        Outcome::Answered { status: 429, .. } => Seen::NoRoom,
        _ => Seen::Nothing,
    }
}

fn status(outcome: Outcome) -> Option<u16> {
    match outcome {
        Outcome::Answered { status, .. } => Some(status),
        Outcome::TimedOut => Some(LATE),
        Outcome::Broken => Some(NO_ANSWER),
        Outcome::Cancelled => Some(CANCELLED),
        Outcome::Unreachable => None,
    }
}

/// Stores what became of the call, trying until it is stored: the call stays leased meanwhile, and is not made again.
async fn store(shared: &Shared, taken: &Taken, settlement: Settlement) {
    let mut pause = FIRST_PAUSE;
    loop {
        // As it was taken last: its lease may have ended meanwhile.
        let newest = shared.held.taken(taken.id);
        let newest = newest.as_ref().unwrap_or(taken);
        match shared.queue.settle(newest, settlement.clone()).await {
            Ok(_) => return,
            Err(error) => {
                shared
                    .metrics
                    .ack_failures
                    .with_label_values(&["call"])
                    .inc();
                tracing::warn!(call = %taken.id, %error, "what became of a call cannot be stored yet");
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
