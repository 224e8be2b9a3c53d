//! What a gateway does later: calls that are queued, and scaling when an alert comes.

use hyper::Method;
use serde_json::json;

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::http::{Answer, Request};
use crate::rule::{Group, Level};
use crate::target::Target;
use crate::wait::eventually;

const ASYNC: Family = Family::new(
    Group::Async,
    Level::Standard,
    "gateway: POST /async-function/NAME",
);

const ALERTS: Family = Family::new(
    Group::Alerts,
    Level::Standard,
    "gateway: POST /system/alert, as an alert manager sends it",
);

pub(super) fn checks() -> Vec<Check> {
    let queued = queued().into_iter();
    let queued = queued.map(|check| check.needs(&[Capability::Async, Capability::Probe]));
    queued
        .chain(alerts())
        .map(Check::only_through_gateway)
        .collect()
}

fn queued() -> Vec<Check> {
    vec![
        ASYNC.check(
            "async.accepted",
            "An asynchronous call is answered 202 at once, with an X-Call-Id.",
            is_accepted,
        ),
        ASYNC.check(
            "async.made",
            "An asynchronous call reaches the function, once.",
            is_made,
        ),
        ASYNC
            .check(
                "callbacks.bad-url",
                "An asynchronous call with an X-Callback-Url that is no URL is answered 400.",
                refuses_a_bad_callback,
            )
            .group(Group::Callbacks),
    ]
}

fn alerts() -> Vec<Check> {
    let scaled = vec![
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
    ];
    let scaled = scaled.into_iter();
    let scaled = scaled.map(|check| check.needs(&[Capability::ScaleMany]));
    let bad = ALERTS.check(
        "alerts.bad-json",
        "An alert that is not JSON is answered 400 and a line of text.",
        refuses_bad_json,
    );
    scaled.chain([bad]).collect()
}

/// The probe's call, through the queue.
async fn queue(target: &Target, wish: &[(&str, &str)], callback: Option<&str>) -> Outcome<Answer> {
    let _ = target.probe(Method::GET, "", &[]).await?;
    let path = format!(
        "/async-function/{}.{}",
        target.name("probe"),
        target.namespace
    );
    let wish = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(wish)
        .finish();
    let mut request = Request::call(Method::POST, path).header("X-Probe", &wish);
    if let Some(callback) = callback {
        request = request.header("X-Callback-Url", callback);
    }
    target.send(request.body("a body")).await
}

async fn is_accepted(target: Target) -> Outcome {
    let answer = queue(&target, &[("bytes", "1")], None).await?;
    let answer = answer.with_status(&[202])?;
    match answer.header("x-call-id") {
        "" => Err(answer.fault("a header X-Call-Id", "none, or an empty one")),
        _ => Ok(()),
    }
}

async fn is_made(target: Target) -> Outcome {
    let mark = target.name("queued");
    let answer = queue(&target, &[("mark", &mark)], None).await?;
    answer.with_success()?;
    eventually(target.limit(), async || {
        let counts = target.probe(Method::GET, "", &[("counts", &mark)]).await?;
        match counts.json()?["began"] == 1 {
            true => Ok(()),
            false => Err(counts.fault("one call that began", counts.text())),
        }
    })
    .await
}

async fn refuses_a_bad_callback(target: Target) -> Outcome {
    let answer = queue(&target, &[("bytes", "1")], Some("nowhere at all")).await?;
    answer.refused(&[400])
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
