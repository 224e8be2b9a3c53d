//! Which function a call means.

use hyper::Method;
use serde_json::json;

use super::seen::{seen, seen_of};
use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::http::{Answer, Request};
use crate::rule::{Group, Level};
use crate::target::Target;

const FROM: Family = Family::new(
    Group::Invoke,
    Level::Standard,
    "gateway and provider SDK: NAME or NAME.NAMESPACE, split at the last dot",
);

const ERRORS: Family = Family::new(
    Group::Errors,
    Level::Standard,
    "provider SDK: a failure of the platform's own is text, and carries X-OpenFaaS-Internal",
);

/// Services that platforms run beside the functions.
const SERVICES: [&str; 5] = ["gateway", "nats", "prometheus", "queue-worker", "provider"];

pub(super) fn checks() -> Vec<Check> {
    vec![
        FROM.check(
            "invoke.bare-name",
            "A name without a namespace means the function in the default namespace.",
            knows_the_bare_name,
        )
        .case("H31")
        .needs(&[Capability::Probe]),
        FROM.check(
            "invoke.unknown-namespace",
            "A function is not found under its name in another namespace: 404.",
            refuses_another_namespace,
        )
        .case("H31")
        .needs(&[Capability::Probe]),
        FROM.check(
            "invoke.prefix",
            "The beginning of a function's name does not call it: 404.",
            refuses_the_beginning,
        )
        .case("H33"),
        FROM.check(
            "invoke.platform-service",
            "The names of the platform's own services call nothing: 404.",
            refuses_services,
        )
        .level(Level::Full)
        .case("H34"),
        ERRORS
            .check(
                "errors.unknown-function",
                "A call of a function that does not exist is answered 404, with a line of text and the header \
                 X-OpenFaaS-Internal.",
                says_who_refused,
            )
            .case("H1"),
    ]
}

async fn knows_the_bare_name(target: Target) -> Outcome {
    let known = seen(&target, Method::GET, "/same").await?;
    let bare = target.call_path(Method::GET, &format!("{}/same", target.name("probe")));
    let bare = seen_of(&target, bare).await?;
    bare.is("path", "/same")?;
    bare.is("replica", known.value("replica").clone())
}

async fn refuses_another_namespace(target: Target) -> Outcome {
    let _ = seen(&target, Method::GET, "").await?;
    let path = format!("{}.{}", target.name("probe"), target.name("nowhere"));
    not_found(&target, target.call_path(Method::GET, &path)).await?;
    Ok(())
}

/// A function is needed whose name goes on.
async fn refuses_the_beginning(target: Target) -> Outcome {
    target.have("prefix-whole", "cat", json!({})).await?;
    let whole = target.call(Method::POST, "prefix-whole", "");
    target.call_until(&whole, 200).await?;
    not_found(&target, target.call(Method::POST, "prefix", "")).await?;
    Ok(())
}

async fn refuses_services(target: Target) -> Outcome {
    for service in SERVICES {
        not_found(&target, target.call_path(Method::GET, service)).await?;
    }
    Ok(())
}

async fn says_who_refused(target: Target) -> Outcome {
    let call = target.call(Method::POST, "not-there", "").body("a body");
    let answer = not_found(&target, call).await?;
    match answer.header("x-openfaas-internal") {
        "" => Err(answer.fault("X-OpenFaaS-Internal, naming who failed", "no such header")),
        _ => answer.refused(&[404]),
    }
}

async fn not_found(target: &Target, call: Request) -> Outcome<Answer> {
    target.send(call).await?.with_status(&[404])
}
