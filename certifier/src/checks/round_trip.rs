//! What was deployed comes back as it was sent, in the status and in the list.

use serde_json::{Value, json};

use crate::check::{Check, Rule};
use crate::failure::Outcome;
use crate::target::{Sample, Target};

/// Nothing but the usual. Several checks look at what the platform makes of that.
const PLAIN: Sample = Sample {
    name: "plain",
    process: "sha512sum",
    more: || json!({}),
};

const LABELS: Sample = Sample {
    name: "labels",
    process: "env",
    more: || json!({"labels": labels()}),
};

const ANNOTATIONS: Sample = Sample {
    name: "annotations",
    process: "env",
    more: || json!({"annotations": annotations()}),
};

const LIMITS: Sample = Sample {
    name: "limits",
    process: "env",
    more: || json!({"limits": {"memory": "5Mi", "cpu": "100m"}}),
};

pub(super) fn checks() -> Vec<Check> {
    let from = "original suite, Deploy_MetaData";
    let rule = |id, says| Rule {
        id,
        says,
        source: from,
    };
    vec![
        Check::new(rule("deploy.labels-round-trip", "Labels come back with the values that were deployed."), keeps_labels),
        Check::new(rule("deploy.annotations-round-trip", "Annotations come back byte for byte: dates with colons, JSON with tabs and newlines."), keeps_annotations),
        Check::new(rule("deploy.labels-never-null", "The labels of a function deployed without any are an object."), has_label_object),
        Check::new(rule("deploy.annotations-never-null", "The annotations of a function deployed without any are an object."), has_annotation_object),
        Check::new(rule("deploy.faas-function-label", "The label `faas_function` holds the function's name."), has_own_name_as_label),
        Check::new(rule("deploy.image-exact", "The image comes back as it was deployed, with its registry and tag."), keeps_the_image),
        Check::new(rule("deploy.process-exact", "`envProcess` comes back as it was deployed."), keeps_the_process),
        Check::new(rule("deploy.memory-limit-round-trip", "The memory limit comes back as it was written, `5Mi`."), keeps_the_memory_limit),
        Check::new(rule("deploy.cpu-limit-round-trip", "The CPU limit comes back as it was written, `100m`."), keeps_the_cpu_limit),
        Check::new(rule("deploy.nothing-invented", "What was not deployed is not there: envVars, limits, requests, constraints, secrets."), invents_nothing),
        Check::new(rule("deploy.root-writable", "`readOnlyRootFilesystem` is false or absent when it was not asked for."), is_not_read_only),
    ]
    .into_iter()
    .map(Check::everywhere)
    .collect()
}

async fn keeps_labels(target: Target) -> Outcome {
    let views = target.views(&LABELS).await?;
    views
        .iter()
        .try_for_each(|view| view.has_entries("labels", &labels()))
}

async fn keeps_annotations(target: Target) -> Outcome {
    let views = target.views(&ANNOTATIONS).await?;
    views
        .iter()
        .try_for_each(|view| view.has_entries("annotations", &annotations()))
}

async fn has_label_object(target: Target) -> Outcome {
    let views = target.views(&PLAIN).await?;
    views.iter().try_for_each(|view| view.object("labels"))
}

async fn has_annotation_object(target: Target) -> Outcome {
    let views = target.views(&PLAIN).await?;
    views.iter().try_for_each(|view| view.object("annotations"))
}

async fn has_own_name_as_label(target: Target) -> Outcome {
    let expected = json!({"faas_function": target.name(LABELS.name)});
    let views = target.views(&LABELS).await?;
    views
        .iter()
        .try_for_each(|view| view.has_entries("labels", &expected))
}

/// A function of its own, with the registry in front: that part is what gets lost.
async fn keeps_the_image(target: Target) -> Outcome {
    let image = json!(target.options().prefixed_image());
    target.have("image", "cat", json!({"image": image})).await?;
    let views = target.both_views("image").await?;
    views
        .iter()
        .try_for_each(|view| view.equal("image", &image))
}

async fn keeps_the_process(target: Target) -> Outcome {
    let views = target.views(&PLAIN).await?;
    views
        .iter()
        .try_for_each(|view| view.equal("envProcess", &json!(PLAIN.process)))
}

async fn keeps_the_memory_limit(target: Target) -> Outcome {
    let expected = json!({"memory": "5Mi"});
    let views = target.views(&LIMITS).await?;
    views
        .iter()
        .try_for_each(|view| view.has_entries("limits", &expected))
}

async fn keeps_the_cpu_limit(target: Target) -> Outcome {
    let expected = json!({"cpu": "100m"});
    let views = target.views(&LIMITS).await?;
    views
        .iter()
        .try_for_each(|view| view.has_entries("limits", &expected))
}

/// Clients compare a map or an object with what they sent, where an empty one is a difference,
/// but a list entry by entry, where it is none.
async fn invents_nothing(target: Target) -> Outcome {
    let views = target.views(&PLAIN).await?;
    views.iter().try_for_each(|view| {
        for key in ["envVars", "limits", "requests"] {
            view.nothing(key, false)?;
        }
        for key in ["constraints", "secrets"] {
            view.nothing(key, true)?;
        }
        Ok(())
    })
}

async fn is_not_read_only(target: Target) -> Outcome {
    let views = target.views(&PLAIN).await?;
    views
        .iter()
        .try_for_each(|view| match view.function["readOnlyRootFilesystem"] {
            Value::Null => Ok(()),
            _ => view.equal("readOnlyRootFilesystem", &json!(false)),
        })
}

fn labels() -> Value {
    json!({"upstream_uri": "example.com", "canary_build": "true"})
}

fn annotations() -> Value {
    json!({
        "built-at": "Tue 3 Mar 2026 14:05:09 +0100",
        "owners": "{\n\t\"team\": \"media & print\",\n\t\"on call\": [\n\t\t\"A <a@example.com>\",\n\t\t\"B\"\n\t]\n}\n",
    })
}
