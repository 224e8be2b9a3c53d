//! Scaling when an alert comes.

use hyper::Method;
use serde_json::json;

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::http::Request;
use crate::rule::{Group, Level};
use crate::target::Target;
use crate::wait::eventually;

const ALERTS: Family = Family::new(
    Group::Alerts,
    Level::Standard,
    "gateway: POST /system/alert, as an alert manager sends it",
);

pub(super) fn checks() -> Vec<Check> {
    let scaled = scaled().into_iter();
    let scaled = scaled.map(|check| check.needs(&[Capability::ScaleMany]));
    let bad = ALERTS.check(
        "alerts.bad-json",
        "An alert that is not JSON is answered 400 and a line of text.",
        refuses_bad_json,
    );
    let checks = scaled.chain([bad]);
    checks.map(Check::only_through_gateway).collect()
}

fn scaled() -> Vec<Check> {
    vec![
        ALERTS.check(
            "alerts.firing",
            "While an alert is firing for a function, it gets another replica.",
            adds_a_replica,
        ),
        ALERTS.check(
            "alerts.maximum",
            "However often an alert fires, the label for the most replicas holds.",
            respects_the_maximum,
        ),
        ALERTS.check(
            "alerts.resolved",
            "When the alert is resolved, the function goes back to its least replicas.",
            goes_back,
        ),
    ]
}

/// A function that may have one replica or two.
async fn have(target: &Target, short: &str) -> Outcome {
    let labels = json!({"com.openfaas.scale.min": "1", "com.openfaas.scale.max": "2"});
    target.have(short, "cat", json!({"labels": labels})).await?;
    target.available(short).await?;
    Ok(())
}

async fn alert(target: &Target, short: &str, status: &str) -> Outcome {
    let name = format!("{}.{}", target.name(short), target.namespace);
    let labels = json!({"alertname": "APIHighInvocationRate", "function_name": name});
    let body = json!({
        "receiver": "scale-up",
        "status": status,
        "alerts": [{"status": status, "labels": labels}],
    });
    let request = Request::system(Method::POST, "/system/alert").json(&body);
    target.send(request).await?.with_success()?;
    Ok(())
}

async fn has_replicas(target: &Target, short: &str, count: u64) -> Outcome {
    eventually(target.limit(), async || {
        target.view(short).await?.exactly("replicas", count)
    })
    .await
}

async fn adds_a_replica(target: Target) -> Outcome {
    have(&target, "alert-fire").await?;
    alert(&target, "alert-fire", "firing").await?;
    has_replicas(&target, "alert-fire", 2).await
}

async fn respects_the_maximum(target: Target) -> Outcome {
    have(&target, "alert-most").await?;
    for _ in 0..3 {
        alert(&target, "alert-most", "firing").await?;
    }
    let view = target.view("alert-most").await?;
    match view.number("replicas")? {
        0..=2 => Ok(()),
        _ => view.exactly("replicas", 2),
    }
}

async fn goes_back(target: Target) -> Outcome {
    have(&target, "alert-end").await?;
    target.scale("alert-end", 2).await?.with_success()?;
    alert(&target, "alert-end", "resolved").await?;
    has_replicas(&target, "alert-end", 1).await
}

async fn refuses_bad_json(target: Target) -> Outcome {
    let request = Request::system(Method::POST, "/system/alert").body("{");
    target.send(request).await?.refused(&[400])
}
