//! Replicas that come and go by themselves: under load, after it, and when nobody calls.

use std::time::Duration;

use futures_util::future::select_all;
use hyper::Method;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::rule::{Group, Level};
use crate::target::Target;
use crate::wait::eventually;

const FAMILY: Family = Family::new(
    Group::Alerts,
    Level::Core,
    "original suite, ScaleUpAndDownFromThroughPut",
);

/// As in the original: two callers, five calls a second each.
const CALLERS: usize = 2;
const PAUSE: Duration = Duration::from_millis(200);

/// As long as the original waits for more replicas, and for fewer.
const PATIENCE: Duration = Duration::from_secs(60);

/// As long as the original's load, during which nothing must change.
const STEADY: Duration = Duration::from_secs(100);

/// As long as the original waits for an idler.
const IDLE: Duration = Duration::from_secs(180);

pub(super) fn checks() -> Vec<Check> {
    vec![
        FAMILY
            .check(
                "scale.up-and-down",
                "With the labels min 1 and max 2, ten calls a second bring a function to 2 replicas, and back to 1 when they end.",
                goes_up_and_down,
            )
            .needs(&[Capability::Autoscaling, Capability::ScaleMany]),
        FAMILY
            .check(
                "scale.pinned-by-labels",
                "With the labels min 2 and max 2, ten calls a second leave a function at 2 replicas.",
                stays_pinned,
            )
            .source("original suite, ScalingDisabledViaLabels")
            .needs(&[Capability::ScaleMany]),
        FAMILY
            .check(
                "scale.idle-to-zero",
                "With the label com.openfaas.scale.zero=true, a function that is not called any more comes to 0 replicas.",
                goes_to_zero_when_idle,
            )
            .group(Group::Scale)
            .source("original suite, ScaleToZero")
            .needs(&[Capability::Idler, Capability::ScaleZero]),
    ]
    .into_iter()
    .map(|check| check.case("5.8").only_through_gateway().long())
    .collect()
}

async fn goes_up_and_down(target: Target) -> Outcome {
    have(&target, "throughput", "1", "2").await?;
    let up = eventually(PATIENCE, async || {
        target.view("throughput").await?.at_least("replicas", 2)
    });
    loaded(&target, "throughput", up).await?;
    target.view("throughput").await?.exactly("replicas", 2)?;
    eventually(PATIENCE, async || {
        target.view("throughput").await?.exactly("replicas", 1)
    })
    .await
}

async fn stays_pinned(target: Target) -> Outcome {
    have(&target, "pinned", "2", "2").await?;
    let deadline = Instant::now() + STEADY;
    let steady = async {
        while Instant::now() < deadline {
            target.view("pinned").await?.exactly("replicas", 2)?;
            sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    };
    loaded(&target, "pinned", steady).await
}

async fn goes_to_zero_when_idle(target: Target) -> Outcome {
    let labels =
        json!({"com.openfaas.scale.zero": "true", "com.openfaas.scale.zero-duration": "15s"});
    target
        .have("idle", "sha512sum", json!({"labels": labels}))
        .await?;
    let call = target.call(Method::POST, "idle", "").body("x");
    target.call_until(&call, 200).await?;
    eventually(IDLE, async || {
        target.view("idle").await?.exactly("replicas", 0)
    })
    .await
}

async fn have(target: &Target, short: &str, least: &str, most: &str) -> Outcome {
    let labels = json!({"com.openfaas.scale.min": least, "com.openfaas.scale.max": most});
    target
        .have(short, "sha512sum", json!({"labels": labels}))
        .await?;
    let call = target.call(Method::POST, short, "").body("x");
    target.call_until(&call, 200).await?;
    Ok(())
}

/// Calls the function until `work` is done; a call that fails ends both.
async fn loaded(target: &Target, short: &str, work: impl Future<Output = Outcome>) -> Outcome {
    let call = target.call(Method::POST, short, "").body("x");
    let callers = (0..CALLERS).map(|_| async {
        loop {
            let called = target.send(call.clone()).await;
            if let Err(failure) = called.and_then(|answer| answer.with_status(&[200])) {
                return failure.while_doing("calling under load");
            }
            sleep(PAUSE).await;
        }
    });
    let callers = select_all(callers.map(Box::pin));
    tokio::select! {
        done = work => done,
        (failure, ..) = callers => Err(failure),
    }
}
