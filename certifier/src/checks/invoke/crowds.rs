//! Many calls at a time, and one after the other.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use hyper::Method;
use serde_json::Value;

use super::bodies::{got, noise};
use super::seen::{Seen, seen, seen_of};
use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::{Failure, Outcome};
use crate::rule::{Group, Level};
use crate::target::Target;

const FROM: Family = Family::new(
    Group::Concurrency,
    Level::Standard,
    "any caller's expectation of a platform that carries more than one caller",
);

const REPLICAS: u64 = 4;

/// So many that none of four replicas is left out by chance: once in a hundred million runs.
const CALLS: usize = 70;

pub(super) fn checks() -> Vec<Check> {
    vec![
        FROM.check(
            "concurrency.calls",
            "Fifty calls at a time, each with a body of its own, are all answered, each with its own.",
            answers_a_crowd,
        )
        .level(Level::Full)
        .case("H29")
        .needs(&[Capability::Probe]),
        FROM.check(
            "concurrency.spread",
            "Of seventy calls of a function with four replicas, each replica gets some.",
            spreads_calls,
        )
        .case("H30")
        .needs(&[Capability::Probe, Capability::ScaleMany]),
        FROM.check(
            "concurrency.many-calls",
            "Ten thousand calls, one after the other, are all answered.",
            answers_for_long,
        )
        .level(Level::Full)
        .case("H29")
        .needs(&[Capability::Probe])
        .long(),
    ]
}

async fn answers_a_crowd(target: Target) -> Outcome {
    let _ = seen(&target, Method::GET, "").await?;
    let calls = (1..=50).map(|length| {
        let target = &target;
        async move {
            let body = noise(length * 40);
            let request = target.shared_probe(Method::POST, "", &[]).await?;
            got(&seen_of(target, request.body(body.clone())).await?, &body)
        }
    });
    join_all(calls).await.into_iter().collect()
}

async fn spreads_calls(target: Target) -> Outcome {
    target.have_probe("spread").await?;
    target.scale("spread", REPLICAS).await?.with_success()?;
    target.available_many("spread", REPLICAS).await?;
    let mut counts = BTreeMap::<String, u32>::new();
    for _ in 0..CALLS {
        if counts.len() >= 4 {
            break;
        }
        let call = target.wish(Method::GET, "spread", "", &[]);
        let seen = Seen::new(target.send(call).await?)?;
        let replica = seen.value("replica").as_str().map(str::to_owned);
        *counts.entry(replica.unwrap_or_default()).or_default() += 1;
    }
    match counts.len() >= 4 {
        true => Ok(()),
        false => {
            let got = Value::from_iter(counts).to_string();
            Err(Failure::new("calls at each of four replicas", got))
        }
    }
}

async fn answers_for_long(target: Target) -> Outcome {
    let request = target
        .shared_probe(Method::GET, "", &[("bytes", "10")])
        .await?;
    for _ in 0..10_000 {
        target.client().send(&request).await?.with_status(&[200])?;
    }
    Ok(())
}
