//! Deployments that look odd and are fine, and many of them at a time.

use futures_util::future::join_all;
use hyper::Method;
use serde_json::{Value, json};

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::{Failure, Outcome};
use crate::http::{Answer, Request};
use crate::rule::{Group, Level};
use crate::target::{FUNCTIONS, Target};

const FAMILY: Family = Family::new(
    Group::Deploy,
    Level::Standard,
    "clients of every age send this, and providers have always taken it",
);

const TOGETHER: Family = Family::new(
    Group::Concurrency,
    Level::Standard,
    "faas-cli up deploys in parallel, and so do pipelines",
);

pub(super) fn checks() -> Vec<Check> {
    let subjects = [odd(), existing(), together(), containers()];
    subjects.into_iter().flatten().collect()
}

fn odd() -> Vec<Check> {
    vec![
        FAMILY
            .check(
                "deploy.unknown-keys",
                "A deployment with keys that are unknown or no longer used is accepted.",
                |target| takes(target, |target| {
                    let more = json!({"network": "func_functions", "registryAuth": "", "later": {"a": 1}});
                    target.deployment("unknown-keys", "cat", more)
                }),
            )
            .case("A4"),
        FAMILY
            .check(
                "deploy.keys-any-case",
                "A deployment whose keys are written in other letters' case is accepted.",
                |target| takes(target, |target| {
                    let plain = target.deployment("any-case", "cat", json!({}));
                    json!({
                        "service": plain["service"], "namespace": plain["namespace"],
                        "Image": plain["image"], "ENVPROCESS": "cat", "Labels": {},
                    })
                }),
            )
            .case("A5")
            .level(Level::Full)
            .source("clients written in Go do not care about case, and some have relied on it"),
        FAMILY
            .check(
                "deploy.label-like-annotation",
                "A label that begins like a platform's own mark of an annotation is refused with 400, or both come back exactly.",
                keeps_them_apart,
            )
            .case("A24")
            .level(Level::Full)
            .source("platforms that keep annotations as labels with com.openfaas.annotations. in front"),
        FAMILY
            .check(
                "deploy.null-limits",
                "Limits and requests that are null are accepted, and not there in the status.",
                takes_null_limits,
            )
            .case("A7"),
        FAMILY
            .check(
                "deploy.content-type-any",
                "A deployment is accepted without a Content-Type, and with a wrong one.",
                takes_any_content_type,
            )
            .case("A30"),
    ]
}

/// The deployment that `body` makes is accepted, and there.
async fn takes(target: Target, body: fn(&Target) -> Value) -> Outcome {
    let body = body(&target);
    let answer = target.write_function(Method::POST, &body).await?;
    answer.with_success()?;
    let name = body["service"].as_str().unwrap_or_default();
    let path = format!("/system/function/{name}?namespace={}", target.namespace);
    target.get(&path).await?.with_status(&[200])?;
    Ok(())
}

async fn takes_null_limits(target: Target) -> Outcome {
    let nulls = json!({"limits": null, "requests": null, "secrets": null, "constraints": null, "envVars": null});
    let answer = target.deploy("null-limits", "cat", nulls).await?;
    answer.with_success()?;
    let view = target.view("null-limits").await?;
    view.nothing("limits", false)?;
    view.nothing("requests", false)
}

async fn takes_any_content_type(target: Target) -> Outcome {
    for (short, kind) in [("typeless", None), ("mistyped", Some("text/plain"))] {
        target.remember_function(short).await;
        let body = target.deployment(short, "cat", json!({}));
        let request = Request::system(Method::POST, FUNCTIONS).json(&body);
        let answer = target.send(request.content_type(kind)).await?;
        answer.with_success()?;
    }
    Ok(())
}

fn existing() -> Vec<Check> {
    vec![
        FAMILY
            .check(
                "deploy.existing-untouched",
                "POST of a function that exists is refused, and changes nothing.",
                refuses_the_existing,
            )
            .case("A12")
            .source("faas-cli deploy --replace=false: it must not replace"),
        FAMILY
            .check(
                "deploy.existing-is-409",
                "POST of a function that exists answers 409, and says so in one line.",
                |target| async move { have_two(&target, "twice-409").await?.refused(&[409]) },
            )
            .case("A12")
            .level(Level::Full)
            .source("RFC 9110, section 15.5.10; providers disagree between 400 and 500"),
    ]
}

/// The answer to a second deployment of the same name.
async fn have_two(target: &Target, short: &str) -> Outcome<Answer> {
    let first = json!({"annotations": {"deployed": "first"}});
    target.have(short, "cat", first).await?;
    let second = json!({"annotations": {"deployed": "second"}});
    target.deploy(short, "env", second).await
}

async fn refuses_the_existing(target: Target) -> Outcome {
    let answer = have_two(&target, "twice").await?;
    if answer.status < 400 {
        let got = format!("status {}", answer.status);
        return Err(answer.fault("a refusal", got));
    }
    let view = target.view("twice").await?;
    view.has_entries("annotations", &json!({"deployed": "first"}))
}

fn together() -> Vec<Check> {
    vec![
        TOGETHER
            .check(
                "deploy.one-winner",
                "Of ten deployments of one name at a time, one is accepted.",
                has_one_winner,
            )
            .case("A13")
            .source("two pipelines at a time; otherwise both think that theirs is running"),
        TOGETHER
            .check(
                "deploy.many-at-once",
                "Of fifty deployments of different names at a time, all are accepted, and listed at once.",
                takes_many,
            )
            .case("A14")
            .level(Level::Full)
            .alone(),
    ]
}

async fn has_one_winner(target: Target) -> Outcome {
    let attempts = (0..10).map(|number| {
        let target = target.clone();
        async move {
            let more = json!({"annotations": {"number": number.to_string()}});
            target.deploy("winner", "cat", more).await
        }
    });
    let answers: Vec<_> = join_all(attempts)
        .await
        .into_iter()
        .collect::<Outcome<_>>()?;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    match statuses.iter().filter(|&&status| status < 300).count() {
        1 => target.view("winner").await.map(drop),
        _ => Err(Failure::new("one success", format!("{statuses:?}"))),
    }
}

async fn takes_many(target: Target) -> Outcome {
    let names: Vec<_> = (0..50).map(|number| format!("many-{number}")).collect();
    let attempts = names.iter().map(|short| {
        let (target, short) = (target.clone(), short.clone());
        async move {
            let answer = target.deploy(&short, "cat", json!({})).await?;
            answer.with_success()
        }
    });
    join_all(attempts)
        .await
        .into_iter()
        .collect::<Outcome<Vec<_>>>()?;
    let answer = target.list().await?;
    let listed = answer.array()?;
    let missing = names.iter().find(|short| {
        let name = target.name(short);
        !listed
            .iter()
            .any(|function| function["name"] == name.as_str())
    });
    match missing {
        None => Ok(()),
        Some(short) => Err(answer.fault("all fifty in the list", format!("{short} is missing"))),
    }
}

fn containers() -> Vec<Check> {
    vec![
        FAMILY
            .check(
                "deploy.process-optional",
                "A deployment without `envProcess` is accepted, and its status has none.",
                needs_no_process,
            )
            .case("A29")
            .needs(&[Capability::RunsContainers]),
        FAMILY
            .check(
                "deploy.image-digest",
                "An image with a digest is refused with 400, or comes back with it.",
                keeps_the_digest,
            )
            .case("D20")
            .level(Level::Full)
            .source("deployments that must not change when a tag does")
            .needs(&[Capability::RunsContainers]),
        FAMILY
            .check(
                "deploy.image-unknown",
                "An image that does not exist is refused with 400, or deployed with a readable status and no available replica.",
                survives_an_unknown_image,
            )
            .case("A22")
            .source("faas-cli describe is how a user finds out")
            .needs(&[Capability::RunsContainers]),
        FAMILY
            .check(
                "deploy.constraint-unsatisfied",
                "With a constraint that nothing satisfies, a function is accepted and has no available replica.",
                obeys_constraints,
            )
            .case("A21")
            .source("placement constraints of Docker Swarm")
            .needs(&[Capability::Constraints]),
    ]
}

async fn keeps_them_apart(target: Target) -> Outcome {
    let labels = json!({"com.openfaas.annotations.mark": "of the label"});
    let annotations = json!({"mark": "of the annotation"});
    let more = json!({"labels": labels, "annotations": annotations});
    let answer = target.deploy("like-annotation", "cat", more).await?;
    if answer.status == 400 {
        return answer.refused(&[400]);
    }
    answer.with_success()?;
    let view = target.view("like-annotation").await?;
    view.has_entries("labels", &labels)?;
    view.has_entries("annotations", &annotations)
}

async fn needs_no_process(target: Target) -> Outcome {
    let mut body = target.deployment("no-process", "", json!({}));
    if let Some(body) = body.as_object_mut() {
        body.remove("envProcess");
    }
    let answer = target.write_function(Method::POST, &body).await?;
    answer.with_success()?;
    match target.view("no-process").await?.function["envProcess"].as_str() {
        None | Some("") => Ok(()),
        Some(process) => Err(Failure::new("no `envProcess`", process)),
    }
}

async fn keeps_the_digest(target: Target) -> Outcome {
    let image = format!("{}@sha256:{}", target.options().image, "0".repeat(64));
    let answer = target
        .deploy("digest", "cat", json!({"image": image}))
        .await?;
    if answer.status == 400 {
        return answer.refused(&[400]);
    }
    answer.with_success()?;
    target.view("digest").await?.equal("image", &json!(image))
}

async fn survives_an_unknown_image(target: Target) -> Outcome {
    let image = format!("certifier.invalid/{}:none", target.name("image"));
    let answer = target
        .deploy("no-image", "cat", json!({"image": image}))
        .await?;
    if answer.status == 400 {
        return answer.refused(&[400]);
    }
    answer.with_success()?;
    stays_unavailable(&target, "no-image").await
}

async fn obeys_constraints(target: Target) -> Outcome {
    let constraint = json!({"constraints": ["node.labels.certifier == nowhere"]});
    target.have("nowhere", "cat", constraint).await?;
    stays_unavailable(&target, "nowhere").await
}

/// Still without a replica when a function that was deployed later has one.
async fn stays_unavailable(target: &Target, short: &str) -> Outcome {
    let later = format!("{short}-later");
    target.have(&later, "cat", json!({})).await?;
    target.available(&later).await?;
    target.view(short).await?.exactly("availableReplicas", 0)
}
