//! Replicas: at least so many, none, and back from none.

use hyper::Method;
use serde_json::json;

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::rule::{Group, Level};
use crate::target::Target;

const FAMILY: Family = Family::new(
    Group::Scale,
    Level::Core,
    "original suite, ScaleFromZeroDuringInvoke",
);

const BODY: &str = "certifier";

/// `printf certifier | sha512sum`
const DIGEST: &str = "4d429d3e9356e42dc00ec6cf55b9dec3b238473a5e30ae58fd8409948237070e\
    4a3e3b54ff709c13aae72c308b1c0bcc7ae79a93fc1b572f526155f6fb32364c";

pub(super) fn checks() -> Vec<Check> {
    vec![
        FAMILY
            .check(
                "scale.minimum-label",
                "With the label com.openfaas.scale.min=2, the status says 2 replicas right \
             after the deployment.",
                respects_the_minimum,
            )
            .source("original suite, ScaleMinimum")
            .case("5.8")
            .needs(&[Capability::ScaleMany]),
        FAMILY
            .check(
                "scale.zero-accepted",
                "POST /system/scale-function/NAME with 0 replicas answers 200 or 202.",
                goes_to_zero,
            )
            .case("5.8")
            .needs(&[Capability::ScaleZero]),
        FAMILY
            .check(
                "scale.zero-visible-at-once",
                "The status says 0 replicas right after a function was scaled to zero.",
                is_at_zero_at_once,
            )
            .case("5.8")
            .needs(&[Capability::ScaleZero]),
        FAMILY
            .check(
                "scale.from-zero",
                "Through a gateway, a call of a function scaled to zero succeeds, with its \
             body.",
                comes_back,
            )
            .case("5.8")
            .group(Group::FromZero)
            .needs(&[Capability::ScaleZero])
            .only_through_gateway(),
    ]
}

async fn respects_the_minimum(target: Target) -> Outcome {
    let labels = json!({"com.openfaas.scale.min": "2"});
    target
        .have("minimum", "sha512sum", json!({"labels": labels}))
        .await?;
    target.view("minimum").await?.exactly("replicas", 2)
}

async fn goes_to_zero(target: Target) -> Outcome {
    target.have("zero", "sha512sum", json!({})).await?;
    target.scale("zero", 0).await?.with_status(&[200, 202])?;
    Ok(())
}

async fn is_at_zero_at_once(target: Target) -> Outcome {
    have_at_zero(&target, "at-zero").await?;
    target.view("at-zero").await?.exactly("replicas", 0)
}

async fn comes_back(target: Target) -> Outcome {
    have_at_zero(&target, "from-zero").await?;
    let call = target.call(Method::POST, "from-zero", "").body(BODY);
    let answer = target.call_until(&call, 200).await?;
    match answer.text().starts_with(DIGEST) {
        true => Ok(()),
        false => Err(answer.fault(format!("the SHA-512 of {BODY:?}"), answer.text())),
    }
}

/// Waits for a replica first: a function that was never up is a smaller feat to bring back.
async fn have_at_zero(target: &Target, short: &str) -> Outcome {
    target.have(short, "sha512sum", json!({})).await?;
    target.available(short).await?;
    target.scale(short, 0).await?.with_success()?;
    Ok(())
}
