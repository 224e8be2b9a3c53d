//! Metrics: what is counted, and under which names.

use hyper::Method;
use serde_json::json;

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::exposition::{Sample, samples};
use crate::failure::Outcome;
use crate::http::Answer;
use crate::rule::{Group, Level};
use crate::target::Target;
use crate::wait::eventually;

const GATEWAY: Family = Family::new(
    Group::Metrics,
    Level::Standard,
    "the original gateway's metrics, which dashboards, alert rules and idlers ask for by name",
);

const PROVIDER: Family = Family::new(
    Group::Metrics,
    Level::Standard,
    "provider SDK: provider_http_requests_total",
);

const CALLS: usize = 3;

const COUNTED: &str = "gateway_function_invocation_total";
const STARTED: &str = "gateway_function_invocation_started";
const SECONDS: &str = "gateway_functions_seconds_count";
const REPLICAS: &str = "gateway_service_count";
const REQUESTS: &str = "provider_http_requests_total";

pub(super) fn checks() -> Vec<Check> {
    let gateway = calls().into_iter().chain([replicas()]);
    let gateway = gateway.map(Check::only_through_gateway);
    let provider = provider().into_iter().map(Check::only_direct);
    [page()]
        .into_iter()
        .chain(gateway)
        .chain(provider)
        .collect()
}

fn page() -> Check {
    GATEWAY
        .check(
            "metrics.text",
            "The metrics are answered 200, as text in the form of Prometheus.",
            are_text,
        )
        .source("Prometheus, text-based format")
        .needs(&[Capability::Metrics])
}

fn calls() -> Vec<Check> {
    let checks = vec![
        GATEWAY.check(
            "metrics.calls",
            "gateway_function_invocation_total counts a function's calls, under NAME.NAMESPACE and the status.",
            |target| counts(target, COUNTED, "201"),
        ),
        GATEWAY.check(
            "metrics.statuses",
            "gateway_function_invocation_total counts calls that fail under their own status.",
            |target| counts(target, COUNTED, "418"),
        ),
        GATEWAY.check(
            "metrics.started",
            "gateway_function_invocation_started counts a function's calls when they begin.",
            |target| counts(target, STARTED, ""),
        ),
        GATEWAY.check(
            "metrics.seconds",
            "gateway_functions_seconds is a histogram of how long a function's calls took.",
            |target| counts(target, SECONDS, ""),
        ),
    ];
    let checks = checks.into_iter();
    checks
        .map(|check| check.needs(&[Capability::Metrics, Capability::Probe]))
        .collect()
}

fn replicas() -> Check {
    GATEWAY
        .check(
            "metrics.replicas",
            "gateway_service_count has a function's replicas.",
            has_replicas,
        )
        .needs(&[Capability::Metrics, Capability::ScaleMany])
}

fn provider() -> Vec<Check> {
    let checks = vec![
        PROVIDER.check(
            "metrics.requests",
            "provider_http_requests_total counts requests, by method, path and status.",
            counts_requests,
        ),
        PROVIDER.check(
            "metrics.paths-bounded",
            "No name of a function is in the paths that provider_http_requests_total counts by.",
            bounds_its_paths,
        ),
    ];
    let checks = checks.into_iter();
    checks
        .map(|check| check.case("I12").needs(&[Capability::Metrics]))
        .collect()
}

async fn read(target: &Target) -> Outcome<(Answer, Vec<Sample>)> {
    let answer = target.metrics().await?.with_status(&[200])?;
    match samples(&answer.text()) {
        Ok(samples) => Ok((answer, samples)),
        Err(line) => Err(answer.fault("samples, NAME{LABELS} VALUE a line", line)),
    }
}

async fn are_text(target: Target) -> Outcome {
    let (answer, samples) = read(&target).await?;
    match answer.header("content-type") {
        kind if !kind.starts_with("text/plain") => {
            Err(answer.fault("Content-Type: text/plain", kind))
        }
        _ if samples.is_empty() => Err(answer.fault("samples", "none")),
        _ => Ok(()),
    }
}

/// The sum of a function's series of this name; with a status, of those with that.
fn sum(samples: &[Sample], name: &str, function: &str, code: &str) -> f64 {
    let of_function = |sample: &&Sample| {
        sample.name == name
            && sample.label("function_name") == function
            && (code.is_empty() || sample.label("code") == code)
    };
    samples
        .iter()
        .filter(of_function)
        .map(|sample| sample.value)
        .sum()
}

/// The calls are counted from the first, however late that is read.
async fn counts(target: Target, name: &'static str, code: &str) -> Outcome {
    let short = format!("counted-{}", fastrand::u32(..));
    target.have_probe(&short).await?;
    let function = format!("{}.{}", target.name(&short), target.namespace);
    let (_, before) = read(&target).await?;
    let before = sum(&before, name, &function, code);
    let status = if code.is_empty() { "200" } else { code };
    let call = target.wish(Method::GET, &short, "", &[("status", status)]);
    for _ in 0..CALLS {
        let wanted = status.parse().unwrap_or(200);
        target.send(call.clone()).await?.with_status(&[wanted])?;
    }
    eventually(target.limit(), async || {
        let (answer, samples) = read(&target).await?;
        let more = sum(&samples, name, &function, code) - before;
        match more == CALLS as f64 {
            true => Ok(()),
            false => {
                let expected = format!("{CALLS} more in {name} of {function} {code}");
                Err(answer.fault(expected.trim_end(), format!("{more} more")))
            }
        }
    })
    .await
}

async fn has_replicas(target: Target) -> Outcome {
    let short = "counted-replicas";
    target.have(short, "cat", json!({})).await?;
    target.scale(short, 2).await?.with_success()?;
    let function = format!("{}.{}", target.name(short), target.namespace);
    eventually(target.limit(), async || {
        let (answer, samples) = read(&target).await?;
        match sum(&samples, REPLICAS, &function, "") {
            2.0 => Ok(()),
            other => {
                let expected = format!("{REPLICAS} of {function} to be 2");
                Err(answer.fault(expected, other.to_string()))
            }
        }
    })
    .await
}

fn requests(samples: &[Sample]) -> Vec<&Sample> {
    let samples = samples.iter();
    samples.filter(|sample| sample.name == REQUESTS).collect()
}

async fn counts_requests(target: Target) -> Outcome {
    target.list().await?;
    let (answer, samples) = read(&target).await?;
    let counted = |sample: &&Sample| {
        sample.label("path").contains("/system/functions")
            && sample.label("code") == "200"
            && sample.label("method").eq_ignore_ascii_case("get")
    };
    match requests(&samples)
        .into_iter()
        .any(|sample| counted(&sample))
    {
        true => Ok(()),
        false => {
            let expected = format!("{REQUESTS} with method, code and the path /system/functions");
            Err(answer.fault(expected, "no such series"))
        }
    }
}

async fn bounds_its_paths(target: Target) -> Outcome {
    target.have("bounded", "cat", json!({})).await?;
    target.view("bounded").await?;
    let (answer, samples) = read(&target).await?;
    let name = target.name("bounded");
    let mut named = requests(&samples).into_iter();
    match named.find(|sample| sample.label("path").contains(&name)) {
        None => Ok(()),
        Some(sample) => {
            let got = format!("the path {}", sample.label("path"));
            Err(answer.fault("paths without the names of functions", got))
        }
    }
}
