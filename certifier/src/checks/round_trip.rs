//! What was deployed comes back as it was sent, in the status and in the list.

use serde_json::{Value, json};

use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::rule::{Group, Level};
use crate::target::{Sample, Target};

const FROM: Family = Family::new(
    Group::Deploy,
    Level::Core,
    "original suite, Deploy_MetaData",
);

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

/// What gets lost where annotations pass through something that likes tidy text.
const OWNERS: &str = r#"{
	"team": "media & print",
	"on call": [
		"A <a@example.com>",
		"B"
	]
}
"#;

const LIMITS: Sample = Sample {
    name: "limits",
    process: "env",
    more: || json!({"limits": {"memory": "5Mi", "cpu": "100m"}}),
};

pub(super) fn checks() -> Vec<Check> {
    let checks = metadata().into_iter().chain(the_rest());
    checks.map(|check| check.case("5.1").everywhere()).collect()
}

fn metadata() -> Vec<Check> {
    vec![
        FROM.check(
            "deploy.labels-round-trip",
            "Labels come back with the values that were deployed.",
            keeps_labels,
        )
        .group(Group::Labels),
        FROM.check(
            "deploy.annotations-round-trip",
            "Annotations come back byte for byte: dates with colons, JSON with tabs and \
             newlines.",
            keeps_annotations,
        )
        .group(Group::Labels),
        FROM.check(
            "deploy.labels-never-null",
            "The labels of a function deployed without any are an object.",
            has_label_object,
        )
        .group(Group::Labels),
        FROM.check(
            "deploy.annotations-never-null",
            "The annotations of a function deployed without any are an object.",
            has_annotation_object,
        )
        .group(Group::Labels),
        FROM.check(
            "deploy.faas-function-label",
            "The label `faas_function` holds the function's name.",
            has_own_name_as_label,
        )
        .group(Group::Labels),
    ]
}

fn the_rest() -> Vec<Check> {
    vec![
        FROM.check(
            "deploy.image-exact",
            "The image comes back as it was deployed, with its registry and tag.",
            keeps_the_image,
        ),
        FROM.check(
            "deploy.process-exact",
            "`envProcess` comes back as it was deployed.",
            keeps_the_process,
        ),
        FROM.check(
            "deploy.memory-limit-round-trip",
            "The memory limit comes back as it was written, `5Mi`.",
            keeps_the_memory_limit,
        )
        .group(Group::Limits)
        .needs(&[Capability::MemoryLimits]),
        FROM.check(
            "deploy.cpu-limit-round-trip",
            "The CPU limit comes back as it was written, `100m`.",
            keeps_the_cpu_limit,
        )
        .group(Group::Limits)
        .needs(&[Capability::CpuLimits]),
        FROM.check(
            "deploy.nothing-invented",
            "What was not deployed is not there: envVars, limits, requests, constraints, \
             secrets.",
            invents_nothing,
        ),
        FROM.check(
            "deploy.root-writable",
            "`readOnlyRootFilesystem` is false or absent when it was not asked for.",
            is_not_read_only,
        ),
    ]
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
        "owners": OWNERS,
    })
}
