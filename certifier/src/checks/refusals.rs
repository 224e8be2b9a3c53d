//! Deployments that must be refused, in words, and leave nothing behind.

use hyper::Method;
use serde_json::{Value, json};

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::http::Request;
use crate::rule::{Group, Level};
use crate::target::{FUNCTIONS, Target};

const FAMILY: Family = Family::new(
    Group::Deploy,
    Level::Standard,
    "faas-cli prints the text of a refusal; what is half accepted cannot be repaired by its owner",
);

const MEBIBYTE: usize = 1 << 20;

pub(super) fn checks() -> Vec<Check> {
    let subjects = [
        bodies(),
        names(),
        secrets(),
        quantities(),
        metadata(),
        routes(),
    ];
    subjects.into_iter().flatten().collect()
}

/// A deployment with each of these additions is refused with 400, and not there afterwards.
fn refusal(id: &'static str, says: &'static str, additions: fn(&Target) -> Vec<Value>) -> Check {
    FAMILY.check(id, says, move |target| async move {
        let short = id.replace('.', "-");
        for more in additions(&target) {
            let body = target.deployment(&short, "cat", more);
            target
                .write_function(Method::POST, &body)
                .await?
                .refused(&[400])?;
            target.status(&short).await?.with_status(&[404])?;
        }
        Ok(())
    })
}

/// Whatever is sent instead of a deployment is refused with 400.
fn raw(id: &'static str, says: &'static str, body: fn(&str) -> String) -> Check {
    FAMILY.check(id, says, move |target| async move {
        let short = id.replace('.', "-");
        let whole = target.deployment(&short, "cat", json!({})).to_string();
        let answer = target
            .write_text(Method::POST, &short, body(&whole))
            .await?;
        answer.refused(&[400])?;
        target.status(&short).await?.with_status(&[404])?;
        Ok(())
    })
}

fn bodies() -> Vec<Check> {
    vec![
        raw(
            "deploy.body-truncated",
            "POST /system/functions with half a JSON object answers 400 and one line of text.",
            |whole| whole[..whole.len() / 2].to_owned(),
        )
        .case("A1"),
        raw(
            "deploy.body-empty",
            "POST /system/functions without a body answers 400 and one line of text.",
            |_| String::new(),
        )
        .case("A2"),
        raw(
            "deploy.body-garbage",
            "POST /system/functions with something after the JSON object answers 400 and deploys nothing.",
            |whole| format!("{whole} and more"),
        )
        .case("A3"),
        refusal(
            "deploy.wrong-types",
            "A label that is a number, or secrets that are a text, are refused with 400.",
            |_| vec![json!({"labels": {"a": 1}}), json!({"secrets": "one"})],
        )
        .case("A6"),
        refusal(
            "deploy.image-missing",
            "A deployment that says neither image nor process is refused with 400.",
            |_| vec![json!({"image": "", "envProcess": ""})],
        )
        .case("A8"),
        FAMILY
            .check(
                "deploy.service-missing",
                "A deployment without a name is refused with 400.",
                needs_a_name,
            )
            .case("A8"),
        FAMILY
            .check(
                "deploy.body-too-large",
                "A deployment of 5 MiB is refused with 413.",
                has_bounds,
            )
            .case("A11")
            .level(Level::Full)
            .source("a gateway that reads any body to its end can be filled up"),
    ]
}

async fn needs_a_name(target: Target) -> Outcome {
    let mut body = target.deployment("unnamed", "cat", json!({}));
    if let Some(body) = body.as_object_mut() {
        body.remove("service");
    }
    let answer = target.write_function(Method::POST, &body).await?;
    answer.refused(&[400])
}

async fn has_bounds(target: Target) -> Outcome {
    let more = json!({"annotations": {"filling": "FILLING"}});
    let body = target.deployment("too-large", "cat", more).to_string();
    // Put in afterwards: to write so much as JSON takes longer than the rest of the check.
    let body = body.replace("FILLING", &"x".repeat(5 * MEBIBYTE));
    target.remember_function("too-large").await;
    let length = body.len().to_string();
    let head = target
        .client()
        .head("POST", FUNCTIONS, &[("Content-Length", &length)]);
    let mut wire = target.wire().await?;
    let bytes = [head, body].concat();
    let received = wire
        .write_until_answered(bytes.as_bytes(), target.limit())
        .await?;
    if !received.starts_with(b"HTTP/1.1 413") {
        return Err(wire.fault("status 413", &received));
    }
    target.status("too-large").await?.with_status(&[404])?;
    Ok(())
}

fn names() -> Vec<Check> {
    vec![
        FAMILY
            .check(
                "deploy.name-invalid",
                "A name with capitals, `_`, `.`, `/`, a letter beyond ASCII, or `-` at an end is refused with 400.",
                refuses_bad_names,
            )
            .case("A9")
            .source("names become host names: RFC 1123, section 2.1"),
        FAMILY
            .check(
                "deploy.name-too-long",
                "A name of 64 characters is refused with 400.",
                |target| async move {
                    let body = named(&target, &long_name(&target, 64));
                    let answer = target.write_function(Method::POST, &body).await?;
                    answer.refused(&[400])
                },
            )
            .case("A10")
            .level(Level::Full)
            .source("names become host names: RFC 1035, section 2.3.4"),
        FAMILY
            .check(
                "deploy.name-long",
                "A name of 63 characters is accepted.",
                |target| async move {
                    let body = named(&target, &long_name(&target, 63));
                    let answer = target.write_function(Method::POST, &body).await?;
                    answer.with_success()?;
                    Ok(())
                },
            )
            .case("A10")
            .source("names become host names: RFC 1035, section 2.3.4"),
        FAMILY
            .check(
                "deploy.namespace-malformed",
                "A deployment into a namespace that none can be called is refused with 400 or 404.",
                |target| is_no_namespace(target, |_| "No Such/..".to_owned()),
            )
            .case("A26"),
        FAMILY
            .check(
                "deploy.namespace-unknown",
                "A deployment into a namespace that does not exist is refused with 400 or 404.",
                |target| is_no_namespace(target, |target| target.name("nowhere")),
            )
            .case("A26"),
    ]
}

/// Every name has the run's prefix in it, so that what is accepted by mistake can be removed.
async fn refuses_bad_names(target: Target) -> Outcome {
    let name = target.name("bad");
    let names = [
        format!("{name}UPPER"),
        format!("{name}_b"),
        format!("-{name}"),
        format!("{name}-"),
        format!("{name}.b"),
        format!("{name}/b"),
        format!("../{name}"),
        format!("{name}ü"),
    ];
    for name in names {
        let body = named(&target, &name);
        let answer = target.write_function(Method::POST, &body).await?;
        answer.refused(&[400])?;
    }
    Ok(())
}

async fn is_no_namespace(target: Target, namespace: fn(&Target) -> String) -> Outcome {
    let more = json!({"namespace": namespace(&target)});
    let answer = target.deploy("homeless", "cat", more).await?;
    answer.refused(&[400, 404])
}

fn named(target: &Target, name: &str) -> Value {
    target.deployment("named", "cat", json!({"service": name}))
}

fn long_name(target: &Target, length: usize) -> String {
    let name = target.name("");
    let filling = "x".repeat(length.saturating_sub(name.len()));
    format!("{name}{filling}")
}

fn secrets() -> Vec<Check> {
    let secret = |id, says, names: fn(&Target) -> Vec<Value>| {
        refusal(id, says, names).needs(&[Capability::Secrets])
    };
    vec![
        secret(
            "deploy.secret-missing",
            "A deployment with a secret that does not exist is refused with 400.",
            |target| vec![json!({"secrets": [target.name("no-secret")]})],
        )
        .case("A15"),
        secret(
            "deploy.secret-path",
            "A deployment whose secret is a path out of the folder of secrets is refused with 400.",
            |_| {
                vec![
                    json!({"secrets": ["../x"]}),
                    json!({"secrets": ["/etc/passwd"]}),
                ]
            },
        )
        .case("A17")
        .source("one provider mounted any file of its host this way"),
        FAMILY
            .check(
                "deploy.secret-twice",
                "A deployment that names a secret twice is refused with 400.",
                names_a_secret_twice,
            )
            .case("A16")
            .level(Level::Full)
            .needs(&[Capability::Secrets]),
    ]
}

async fn names_a_secret_twice(target: Target) -> Outcome {
    let secret = target.name("twice");
    target
        .create_secret("twice", json!({"value": "x"}))
        .await?
        .with_success()?;
    let more = json!({"secrets": [secret, secret]});
    let answer = target.deploy("twice", "cat", more).await?;
    answer.refused(&[400])
}

fn quantities() -> Vec<Check> {
    vec![
        refusal(
            "deploy.memory-unreadable",
            "A memory limit that is no quantity is refused with 400.",
            |_| vec![json!({"limits": {"memory": "lots"}})],
        )
        .case("A18")
        .group(Group::Limits)
        .needs(&[Capability::MemoryLimits]),
        refusal(
            "deploy.cpu-unreadable",
            "A CPU limit that is no quantity is refused with 400.",
            |_| vec![json!({"limits": {"cpu": "x"}})],
        )
        .case("A18")
        .group(Group::Limits)
        .needs(&[Capability::CpuLimits]),
        refusal(
            "deploy.limit-below-request",
            "A memory limit lower than the memory request is refused with 400.",
            |_| vec![json!({"limits": {"memory": "64Mi"}, "requests": {"memory": "128Mi"}})],
        )
        .case("A19")
        .level(Level::Full)
        .group(Group::Limits)
        .needs(&[Capability::MemoryLimits]),
        refusal(
            "deploy.constraint-unreadable",
            "A constraint that does not parse is refused with 400.",
            |_| vec![json!({"constraints": ["this is no constraint"]})],
        )
        .case("A20")
        .needs(&[Capability::Constraints]),
    ]
}

fn metadata() -> Vec<Check> {
    vec![
        refusal(
            "deploy.scale-labels",
            "A label com.openfaas.scale.min that is no number, or below 0, is refused with 400.",
            |_| {
                ["abc", "-1"]
                    .map(|least| json!({"labels": {"com.openfaas.scale.min": least}}))
                    .to_vec()
            },
        )
        .case("A23")
        .level(Level::Full)
        .group(Group::Labels)
        .source("a typing error in a label would otherwise be found under load"),
        refusal(
            "deploy.reserved-label",
            "A deployment that sets the label `faas_function` to another name is refused with 400.",
            |_| vec![json!({"labels": {"faas_function": "another"}})],
        )
        .case("A25")
        .level(Level::Full)
        .group(Group::Labels)
        .source("a function that calls itself by another name hides from its owner"),
    ]
}

fn routes() -> Vec<Check> {
    vec![
        FAMILY
            .check(
                "deploy.method-unknown",
                "PATCH /system/functions answers 405, with a header Allow.",
                allows_no_patch,
            )
            .case("A27")
            .level(Level::Full)
            .group(Group::Errors)
            .source("RFC 9110, section 15.5.6"),
        FAMILY
            .check(
                "deploy.slash-at-end",
                "POST /system/functions/ answers 404 or 405, and deploys nothing.",
                is_not_deployed_behind_a_slash,
            )
            .case("A27")
            .level(Level::Full)
            .group(Group::Errors),
    ]
}

async fn allows_no_patch(target: Target) -> Outcome {
    let answer = target
        .send(Request::system(Method::PATCH, FUNCTIONS).body("{}"))
        .await?
        .with_status(&[405])?;
    match answer.header("allow") {
        "" => Err(answer.fault("a header Allow", "none, or an empty one")),
        _ => Ok(()),
    }
}

async fn is_not_deployed_behind_a_slash(target: Target) -> Outcome {
    let body = target.deployment("slash", "cat", json!({}));
    target.remember_function("slash").await;
    let request = Request::system(Method::POST, format!("{FUNCTIONS}/")).json(&body);
    target.send(request).await?.with_status(&[404, 405])?;
    target.status("slash").await?.with_status(&[404])?;
    Ok(())
}
