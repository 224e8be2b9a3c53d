//! Methods that the original suite does not try.

use hyper::Method;

use super::seen::{seen, seen_of};
use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::http::Answer;
use crate::rule::{Group, Level};
use crate::target::Target;

const FROM: Family = Family::new(
    Group::Methods,
    Level::Standard,
    "provider SDK since v0.17.1: these seven methods are forwarded, others are answered 405",
);

const LENGTH: &str = "1000";

pub(super) fn checks() -> Vec<Check> {
    let checks = vec![
        FROM.check(
            "methods.options",
            "An OPTIONS reaches the function as an OPTIONS.",
            forwards_options,
        )
        .case("H6"),
        FROM.check(
            "methods.head",
            "A HEAD reaches the function; its answer comes with the headers, with the length, and without a body.",
            forwards_head,
        )
        .case("H6"),
        FROM.check(
            "methods.made-up",
            "A call with a method that was made up is answered 405, with the methods there are in Allow.",
            |target| is_refused(target, "BREW"),
        )
        .case("H7"),
        FROM.check(
            "methods.trace",
            "A TRACE is answered 405, with the methods there are in Allow.",
            |target| is_refused(target, "TRACE"),
        )
        .case("H7"),
        FROM.check(
            "methods.preflight",
            "A preflight of another origin is the function's to answer; the platform adds no header for origins.",
            leaves_origins_alone,
        )
        .source("gateway and provider SDK: no CORS headers on functions")
        .case("H35"),
    ];
    let checks = checks.into_iter();
    checks
        .map(|check| check.needs(&[Capability::Probe]))
        .collect()
}

async fn forwards_options(target: Target) -> Outcome {
    seen(&target, Method::OPTIONS, "")
        .await?
        .is("method", "OPTIONS")
}

async fn forwards_head(target: Target) -> Outcome {
    let answer = target
        .probe(Method::HEAD, "", &[("bytes", LENGTH)])
        .await?
        .with_status(&[200])?;
    match answer.header("content-length") {
        LENGTH if answer.body.is_empty() => Ok(()),
        LENGTH => Err(answer.fault("no body", "one")),
        other => {
            let got = format!("Content-Length: {other}");
            Err(answer.fault(format!("Content-Length: {LENGTH}"), got))
        }
    }
}

async fn is_refused(target: Target, method: &str) -> Outcome {
    let method = method.parse().unwrap_or(Method::TRACE);
    let answer = target.probe(method, "", &[]).await?;
    names_the_methods(answer.with_status(&[405])?)
}

fn names_the_methods(answer: Answer) -> Outcome {
    let allowed: Vec<_> = answer.header("allow").split(',').map(str::trim).collect();
    match allowed.contains(&"GET") && allowed.contains(&"POST") {
        true => Ok(()),
        false => {
            let got = format!("Allow: {}", answer.header("allow"));
            Err(answer.fault("Allow with the methods there are", got))
        }
    }
}

async fn leaves_origins_alone(target: Target) -> Outcome {
    let request = target.shared_probe(Method::OPTIONS, "", &[]).await?;
    let request = request
        .header("Origin", "https://elsewhere.example")
        .header("Access-Control-Request-Method", "PUT");
    let seen = seen_of(&target, request).await?;
    seen.is("method", "OPTIONS")?;
    let mut names = seen.answer.headers.keys();
    match names.find(|name| name.as_str().starts_with("access-control-")) {
        None => Ok(()),
        Some(name) => Err(seen.fault("no header that the function did not give", name.as_str())),
    }
}
