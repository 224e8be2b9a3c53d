//! What an update changes, and what it leaves alone.

use futures_util::future::{join, join_all};
use hyper::Method;
use serde_json::{Value, json};

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::{Failure, Outcome};
use crate::rule::{Group, Level};
use crate::target::Target;
use crate::wait::eventually;

const FAMILY: Family = Family::new(
    Group::Update,
    Level::Standard,
    "faas-cli deploy updates with the whole deployment: what it does not name is gone",
);

pub(super) fn checks() -> Vec<Check> {
    let subjects = [refused(), replaced(), replicas(), under_load()];
    subjects.into_iter().flatten().collect()
}

fn refused() -> Vec<Check> {
    vec![
        FAMILY
            .check(
                "update.bad-body",
                "PUT /system/functions without a body or with half a JSON object answers 400 and one line of text.",
                |target| async move {
                    for body in ["", "{"] {
                        let body = body.to_owned();
                        let answer = target.write_text(Method::PUT, "bad-body", body).await?;
                        answer.refused(&[400])?;
                    }
                    Ok(())
                },
            )
            .case("B2")
            .source("faas-cli prints the text of a refusal"),
        untouched(
            "update.secret-missing",
            "An update with a secret that does not exist is refused with 400 and changes nothing.",
            |target| json!({"secrets": [target.name("no-secret")]}),
        )
        .case("B5")
        .needs(&[Capability::Secrets]),
        untouched(
            "update.memory-unreadable",
            "An update with a memory limit that is no quantity is refused with 400 and changes nothing.",
            |_| json!({"limits": {"memory": "lots"}}),
        )
        .case("B6")
        .level(Level::Full)
        .group(Group::Limits)
        .needs(&[Capability::MemoryLimits]),
    ]
}

/// An update with this addition is refused, and what was deployed still stands.
fn untouched(id: &'static str, says: &'static str, more: fn(&Target) -> Value) -> Check {
    let source = "an update that half happens leaves a function that nobody has deployed";
    let check = FAMILY.check(id, says, move |target| async move {
        let short = id.replace('.', "-");
        let kept = json!({"kept": "yes"});
        target
            .have(&short, "cat", json!({"annotations": kept}))
            .await?;
        let answer = target.update(&short, "env", more(&target)).await?;
        answer.refused(&[400])?;
        let view = target.view(&short).await?;
        view.has_entries("annotations", &kept)
    });
    check.source(source)
}

fn replaced() -> Vec<Check> {
    vec![
        FAMILY
            .check(
                "update.replaces-everything",
                "Right after an update the status shows its process, labels, annotations and variables, and none of the \
                 old that it does not name.",
                replaces_everything,
            )
            .case("B3"),
        FAMILY
            .check(
                "update.env-emptied",
                "After an update without variables the function's process does not see the old ones any more.",
                empties_the_environment,
            )
            .case("B4"),
        FAMILY
            .check(
                "update.read-only-toggled",
                "An update turns `readOnlyRootFilesystem` on, and another one off.",
                toggles_read_only,
            )
            .case("B13")
            .needs(&[Capability::ReadOnly]),
        FAMILY
            .check(
                "update.both-accepted",
                "Of two updates at a time both are accepted, and one of them stands, whole.",
                takes_both,
            )
            .case("B8")
            .level(Level::Full)
            .group(Group::Concurrency)
            .source("two pipelines at a time"),
        FAMILY
            .check(
                "update.beside-delete",
                "An update beside a deletion answers 202 or 404, one after it 404, and neither leaves anything behind.",
                survives_a_deletion,
            )
            .case("B11")
            .level(Level::Full)
            .group(Group::Concurrency)
            .source("two pipelines at a time"),
    ]
}

async fn replaces_everything(target: Target) -> Outcome {
    let version = |version: &str| {
        json!({
            "labels": {"both": version, version: "yes"},
            "annotations": {"both": version, version: "yes"},
            "envVars": {"both": version, version: "yes"},
        })
    };
    let (old, new) = (version("old"), version("new"));
    target.have("replaced", "cat", old).await?;
    let answer = target.update("replaced", "env", new.clone()).await?;
    answer.with_success()?;
    for view in target.both_views("replaced").await? {
        view.equal("envProcess", &json!("env"))?;
        for key in ["labels", "annotations"] {
            view.has_entries(key, &new[key])?;
            view.lacks_entry(key, "old")?;
        }
        // Not every platform tells variables; one that does tells the new ones.
        if !view.function["envVars"].is_null() {
            view.equal("envVars", &new["envVars"])?;
        }
    }
    Ok(())
}

async fn empties_the_environment(target: Target) -> Outcome {
    let old = json!({"envVars": {"certifier_old": "yes"}});
    target.have("emptied", "env", old).await?;
    let call = target.call(Method::POST, "emptied", "");
    let answer = target.call_until(&call, 200).await?;
    if !answer.text().contains("certifier_old=yes") {
        return Err(answer.fault("the variable in the environment", answer.text()));
    }
    let updated = target.update("emptied", "env", json!({})).await?;
    updated.with_success()?;
    eventually(target.limit(), async || {
        let answer = target.send(call.clone()).await?.with_status(&[200])?;
        match answer.text().contains("certifier_old") {
            false => Ok(()),
            true => Err(answer.fault("no variable `certifier_old`", "it is still there")),
        }
    })
    .await
}

async fn toggles_read_only(target: Target) -> Outcome {
    target.have("toggled", "cat", json!({})).await?;
    for on in [true, false] {
        let more = json!({"readOnlyRootFilesystem": on});
        target
            .update("toggled", "cat", more)
            .await?
            .with_success()?;
        let view = target.view("toggled").await?;
        match (on, &view.function["readOnlyRootFilesystem"]) {
            (false, Value::Null) => {}
            _ => view.equal("readOnlyRootFilesystem", &json!(on))?,
        }
    }
    Ok(())
}

async fn takes_both(target: Target) -> Outcome {
    target.have("raced", "cat", json!({})).await?;
    let version = |version: &str| json!({"labels": {"v": version}, "annotations": {"v": version}});
    let (one, two) = join(
        target.update("raced", "cat", version("one")),
        target.update("raced", "cat", version("two")),
    )
    .await;
    one?.with_success()?;
    two?.with_success()?;
    let view = target.view("raced").await?;
    let label = view.function["labels"]["v"].clone();
    view.has_entries("annotations", &json!({"v": label}))
}

/// Which of the two comes first is up to the platform, so it is tried a few times, each going first in turn. An update that
/// surely comes too late ends it: whoever creates what is unknown does so here, whoever won before.
async fn survives_a_deletion(target: Target) -> Outcome {
    let change = json!({"annotations": {"v": "2"}});
    for round in 0..4 {
        // Another name each time: whether one is free at once is another question.
        let short = format!("beside-{round}");
        target.have(&short, "cat", json!({})).await?;
        let update = target.update(&short, "cat", change.clone());
        let delete = target.delete(&short);
        let (updated, deleted) = match round % 2 {
            0 => join(update, delete).await,
            _ => {
                let (deleted, updated) = join(delete, update).await;
                (updated, deleted)
            }
        };
        let updated = updated?;
        if updated.status != 404 {
            updated.with_success()?;
        }
        deleted?.with_success()?;
        is_gone_both_ways(&target, &short).await?;
    }
    let late = target.update("beside-0", "cat", change).await?;
    late.with_status(&[404])?;
    is_gone_both_ways(&target, "beside-0").await
}

async fn is_gone_both_ways(target: &Target, short: &str) -> Outcome {
    eventually(target.limit(), async || {
        let (answer, listed) = target.listed(short).await?;
        match (listed.len(), target.status(short).await?.status) {
            (0, 404) => Ok(()),
            (count, status) => {
                let got = format!("listed {count} times, status {status}");
                Err(answer.fault("the function to be gone both ways", got))
            }
        }
    })
    .await
}

fn replicas() -> Vec<Check> {
    vec![
        FAMILY
            .check(
                "update.replicas-kept",
                "A function scaled to 3 has 3 replicas after an update.",
                |target| async move {
                    target.have("kept", "cat", json!({})).await?;
                    target.scale("kept", 3).await?.with_success()?;
                    let change = json!({"annotations": {"v": "2"}});
                    target.update("kept", "cat", change).await?.with_success()?;
                    target.view("kept").await?.exactly("replicas", 3)
                },
            )
            .case("B9")
            .group(Group::Scale)
            .source("otherwise every release meets its load with one replica")
            .needs(&[Capability::ScaleMany]),
        FAMILY
            .check(
                "update.minimum-raised",
                "After an update with a higher label com.openfaas.scale.min there are as many replicas.",
                |target| async move {
                    target.have("raised", "cat", json!({})).await?;
                    let more = json!({"labels": {"com.openfaas.scale.min": "2"}});
                    target.update("raised", "cat", more).await?.with_success()?;
                    target.view("raised").await?.at_least("replicas", 2)
                },
            )
            .case("B10")
            .group(Group::Scale)
            .source("the label's meaning in the original's documentation")
            .needs(&[Capability::ScaleMany]),
    ]
}

fn under_load() -> Vec<Check> {
    vec![
        FAMILY
            .check(
                "update.no-call-fails",
                "Calls that go on during an update all succeed, and come to be answered by the new function.",
                loses_no_call,
            )
            .case("B7")
            .source("a release must not be noticed by callers"),
        FAMILY
            .check(
                "update.broken-image",
                "After an update to an image that does not exist, the old function still answers.",
                keeps_the_old,
            )
            .case("B12")
            .level(Level::Full)
            .needs(&[Capability::RunsContainers]),
    ]
}

/// Four callers, one call after the other each, until the new function answers all of them.
async fn loses_no_call(target: Target) -> Outcome {
    let version = |version: &str| json!({"envVars": {"certifier_version": version}});
    target.have("released", "env", version("old")).await?;
    let call = target.call(Method::POST, "released", "");
    target.call_until(&call, 200).await?;
    let updated = target.update("released", "env", version("new")).await?;
    updated.with_success()?;
    let deadline = tokio::time::Instant::now() + target.limit();
    let callers = (0..4).map(|_| async {
        loop {
            let answer = target.send(call.clone()).await?.with_status(&[200])?;
            if answer.text().contains("certifier_version=new") {
                return Ok(());
            }
            if tokio::time::Instant::now() > deadline {
                return Err(answer.fault("an answer of the new function", "only the old one"));
            }
        }
    });
    join_all(callers).await.into_iter().collect()
}

async fn keeps_the_old(target: Target) -> Outcome {
    target.have("sound", "cat", json!({})).await?;
    let call = target.call(Method::POST, "sound", "").body("x");
    target.call_until(&call, 200).await?;
    let image = format!("certifier.invalid/{}:none", target.name("image"));
    let answer = target
        .update("sound", "cat", json!({"image": image}))
        .await?;
    if answer.status >= 500 {
        let got = format!("status {}", answer.status);
        return Err(answer.fault("202, or a refusal with 400", got));
    }
    for _ in 0..20 {
        target.send(call.clone()).await?.with_status(&[200])?;
    }
    let view = target.view("sound").await?;
    match view.number("availableReplicas")? {
        0 => Err(Failure::new("`availableReplicas` of 1 or more", "0")),
        _ => Ok(()),
    }
}
