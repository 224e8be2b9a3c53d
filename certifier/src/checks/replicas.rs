//! Scaling: what is refused, what is granted, and calls while it happens.

use futures_util::future::join_all;
use hyper::Method;
use serde_json::{Value, json};

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::http::{Answer, Request};
use crate::rule::{Group, Level};
use crate::target::Target;

const FROM: Family = Family::new(
    Group::Scale,
    Level::Standard,
    "provider SDK: POST /system/scale-function/NAME",
);

/// More than any platform grants, and more than many can count to.
const ABSURD: u64 = 1 << 40;

pub(super) fn checks() -> Vec<Check> {
    refused()
        .into_iter()
        .chain(granted())
        .chain(calls())
        .collect()
}

fn refused() -> Vec<Check> {
    vec![
        FROM.check(
            "scale.unknown",
            "The scaling of a function that does not exist answers 404 and a line of text.",
            refuses_the_unknown,
        )
        .case("E1"),
        FROM.check(
            "scale.bad-json",
            "A scaling whose body is not JSON answers 400 and a line of text.",
            |target| is_refused(target, "{"),
        )
        .case("E2"),
        FROM.check(
            "scale.negative",
            "A scaling to -1 replicas answers 400 and a line of text.",
            |target| is_refused(target, r#"{"replicas": -1}"#),
        )
        .case("E2"),
        FROM.check(
            "scale.fraction",
            "A scaling to 1.5 replicas answers 400 and a line of text.",
            |target| is_refused(target, r#"{"replicas": 1.5}"#),
        )
        .case("E2"),
        FROM.check(
            "scale.text",
            "A scaling to \"2\" replicas, a text, answers 400 and a line of text.",
            |target| is_refused(target, r#"{"replicas": "2"}"#),
        )
        .case("E2"),
        FROM.check(
            "scale.absurd",
            "A scaling to a million million replicas answers 400, or grants fewer.",
            is_bounded,
        )
        .source("a slip of one caller must not take the whole platform")
        .case("E8"),
        FROM.check(
            "scale.mismatch",
            "A scaling whose body names another function than its path answers 400 and a line of text.",
            refuses_a_mismatch,
        )
        .source("two names in one request: neither is surely meant")
        .case("E9"),
        FROM.check(
            "scale.namespace-conflict",
            "A scaling with one namespace in the query and another in the body answers 400 and a line of text.",
            refuses_two_namespaces,
        )
        .level(Level::Full)
        .source("two namespaces in one request: neither is surely meant")
        .case("E11"),
    ]
}

fn granted() -> Vec<Check> {
    vec![
        FROM.check(
            "scale.visible-at-once",
            "Right after a scaling to 2, the status says 2 replicas.",
            is_visible_at_once,
        )
        .case("E3")
        .needs(&[Capability::ScaleMany]),
        FROM.check(
            "scale.zero-written",
            "The status of a function at zero says so: `replicas` is there, and 0.",
            says_zero,
        )
        .source("clients that tell absent from zero")
        .case("E4")
        .needs(&[Capability::ScaleZero]),
        FROM.check(
            "scale.without-name",
            "A scaling whose body does not name the function scales that of the path.",
            needs_no_name,
        )
        .case("E10")
        .needs(&[Capability::ScaleMany]),
        FROM.check(
            "scale.namespace-in-body",
            "The namespace of a scaling may be in its body.",
            finds_the_namespace_in_the_body,
        )
        .case("E11")
        .needs(&[Capability::ScaleMany])
        .everywhere(),
        FROM.check(
            "scale.at-once",
            "Ten scalings of a function at a time, to 2 and to 4, all succeed, and one of them is what the status says.",
            takes_a_crowd,
        )
        .case("E13")
        .needs(&[Capability::ScaleMany]),
        FROM.check(
            "scale.while-updating",
            "A scaling at the same time as an update succeeds, and so does the update; another update does not undo it.",
            goes_with_an_update,
        )
        .level(Level::Full)
        .case("E12")
        .needs(&[Capability::ScaleMany]),
    ]
}

fn calls() -> Vec<Check> {
    vec![
        FROM.check(
            "scale.zero-direct",
            "Straight at a provider, a call of a function at zero answers 503, a line of text, and X-OpenFaaS-Internal.",
            is_unavailable_at_zero,
        )
        .case("E5")
        .needs(&[Capability::ScaleZero])
        .only_direct(),
        FROM.check(
            "scale.cold-calls",
            "Through a gateway, twenty calls at a time of a function at zero all succeed.",
            answers_cold_calls,
        )
        .group(Group::FromZero)
        .case("E7")
        .needs(&[Capability::ScaleZero])
        .only_through_gateway(),
        FROM.check(
            "scale.down-in-flight",
            "Calls that are at work when a function is scaled from 2 to 1 succeed.",
            lets_calls_finish,
        )
        .level(Level::Full)
        .case("E14")
        .needs(&[Capability::ScaleMany, Capability::Probe]),
    ]
}

/// A scaling of this function with exactly this body.
async fn scale(target: &Target, short: &str, query: &str, body: &str) -> Outcome<Answer> {
    let path = format!("/system/scale-function/{}{query}", target.name(short));
    target
        .send(Request::system(Method::POST, path).body(body))
        .await
}

async fn refuses_the_unknown(target: Target) -> Outcome {
    target.scale("scale-nobody", 1).await?.refused(&[404])
}

async fn is_refused(target: Target, body: &str) -> Outcome {
    let short = format!("scale-bad-{}", fastrand::u32(..));
    target.have(&short, "cat", json!({})).await?;
    let query = format!("?namespace={}", target.namespace);
    scale(&target, &short, &query, body)
        .await?
        .refused(&[400])?;
    target.view(&short).await?.exactly("replicas", 1)
}

async fn is_bounded(target: Target) -> Outcome {
    target.have("scale-absurd", "cat", json!({})).await?;
    let answer = target.scale("scale-absurd", ABSURD).await?;
    if answer.status == 400 {
        return answer.refused(&[400]);
    }
    answer.with_success()?;
    let view = target.view("scale-absurd").await?;
    match view.number("replicas")? {
        granted if granted < ABSURD => Ok(()),
        _ => view.exactly("replicas", 100),
    }
}

async fn refuses_a_mismatch(target: Target) -> Outcome {
    target.have("scale-this", "cat", json!({})).await?;
    let body = json!({"serviceName": target.name("scale-that"), "replicas": 1});
    let query = format!("?namespace={}", target.namespace);
    scale(&target, "scale-this", &query, &body.to_string())
        .await?
        .refused(&[400])
}

async fn refuses_two_namespaces(target: Target) -> Outcome {
    target.have("scale-where", "cat", json!({})).await?;
    let body = json!({"namespace": target.name("elsewhere"), "replicas": 1});
    let query = format!("?namespace={}", target.namespace);
    scale(&target, "scale-where", &query, &body.to_string())
        .await?
        .refused(&[400])
}

async fn is_visible_at_once(target: Target) -> Outcome {
    target.have("scale-two", "cat", json!({})).await?;
    target.scale("scale-two", 2).await?.with_success()?;
    target.view("scale-two").await?.exactly("replicas", 2)
}

async fn says_zero(target: Target) -> Outcome {
    target.have("scale-none", "cat", json!({})).await?;
    target.scale("scale-none", 0).await?.with_success()?;
    target
        .view("scale-none")
        .await?
        .equal("replicas", &json!(0))
}

async fn needs_no_name(target: Target) -> Outcome {
    target.have("scale-nameless", "cat", json!({})).await?;
    let query = format!("?namespace={}", target.namespace);
    let answer = scale(&target, "scale-nameless", &query, r#"{"replicas": 2}"#).await?;
    answer.with_success()?;
    target.view("scale-nameless").await?.exactly("replicas", 2)
}

async fn finds_the_namespace_in_the_body(target: Target) -> Outcome {
    target.have("scale-body", "cat", json!({})).await?;
    let name = target.name("scale-body");
    let body = json!({"serviceName": name, "namespace": target.namespace, "replicas": 2});
    let answer = scale(&target, "scale-body", "", &body.to_string()).await?;
    answer.with_success()?;
    target.view("scale-body").await?.exactly("replicas", 2)
}

async fn takes_a_crowd(target: Target) -> Outcome {
    target.have("scale-crowd", "cat", json!({})).await?;
    // Two apart from each other and from where it began: neither one more nor one less is one of them.
    let scalings = (0..10).map(|number| target.scale("scale-crowd", 2 + number % 2 * 2));
    for answer in join_all(scalings).await {
        answer?.with_success()?;
    }
    let view = target.view("scale-crowd").await?;
    match view.number("replicas")? {
        2 | 4 => Ok(()),
        _ => view.exactly("replicas", 4),
    }
}

async fn goes_with_an_update(target: Target) -> Outcome {
    target.have("scale-update", "cat", json!({})).await?;
    let (scaled, updated) = tokio::join!(
        target.scale("scale-update", 2),
        target.update("scale-update", "cat", json!({"labels": {"new": "yes"}})),
    );
    scaled?.with_success()?;
    updated?.with_success()?;
    let view = target.view("scale-update").await?;
    view.exactly("replicas", 2)?;
    view.has_entries("labels", &json!({"new": "yes"}))?;
    // Whichever came first above, this one comes last.
    let change = json!({"labels": {"newer": "yes"}});
    target
        .update("scale-update", "cat", change)
        .await?
        .with_success()?;
    target.view("scale-update").await?.exactly("replicas", 2)
}

async fn is_unavailable_at_zero(target: Target) -> Outcome {
    target.have("scale-direct", "cat", json!({})).await?;
    target.available("scale-direct").await?;
    target.scale("scale-direct", 0).await?.with_success()?;
    let call = target.call(Method::POST, "scale-direct", "").body("a body");
    let answer = target.send(call).await?.with_status(&[503])?;
    match answer.header("x-openfaas-internal") {
        "" => Err(answer.fault("X-OpenFaaS-Internal, naming who failed", "no such header")),
        _ => answer.refused(&[503]),
    }
}

async fn answers_cold_calls(target: Target) -> Outcome {
    target.have("scale-cold", "cat", json!({})).await?;
    target.available("scale-cold").await?;
    let warm = target.call(Method::POST, "scale-cold", "");
    target.call_until(&warm, 200).await?;
    target.scale("scale-cold", 0).await?.with_success()?;
    let calls = (0..20).map(|number| {
        let call = target.call(Method::POST, "scale-cold", "");
        target.send(call.body(format!("call {number}")))
    });
    for (number, answer) in join_all(calls).await.into_iter().enumerate() {
        let answer = answer?.with_status(&[200])?;
        if answer.text() != format!("call {number}") {
            return Err(answer.fault(format!("call {number}"), answer.text()));
        }
    }
    Ok(())
}

/// The calls are at work once the function has counted them, on whichever replica.
async fn lets_calls_finish(target: Target) -> Outcome {
    target.have_probe("scale-down").await?;
    target.scale("scale-down", 2).await?.with_success()?;
    target.available_many("scale-down", 2).await?;
    let pause = target.pause();
    let calls = (0..10).map(|_| {
        let call = target.wish(Method::GET, "scale-down", "", &[("sleep", &pause)]);
        target.send(call)
    });
    let scaling = async {
        tokio::time::sleep(target.options().pause / 3).await;
        target.scale("scale-down", 1).await?.with_success()
    };
    let (answers, scaled) = tokio::join!(join_all(calls), scaling);
    scaled?;
    for answer in answers {
        let answer = answer?.with_status(&[200])?;
        if answer.json()?["replica"] == Value::Null {
            return Err(answer.fault("the answer of a replica", answer.text()));
        }
    }
    Ok(())
}
