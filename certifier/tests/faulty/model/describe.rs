//! A function as the status and the list show it, and what can go wrong on the way.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Model;
use super::state::{Function, Key};
use crate::switch::Switch;

type Out = Map<String, Value>;

/// The function as the status and the list show it.
pub(crate) fn describe(model: &Model, key: &Key, function: &Function) -> Value {
    let (namespace, name) = key;
    let mut out = function.deployment.clone();
    out.remove("service");
    out.insert("name".to_owned(), json!(name));
    out.insert("namespace".to_owned(), json!(namespace));
    out["labels"]["faas_function"] = json!(name);
    out.insert("replicas".to_owned(), json!(function.replicas));
    out.insert(
        "availableReplicas".to_owned(),
        json!(available(model, function)),
    );
    let created = match model.wrong(Switch::CreatedNow) {
        true => OffsetDateTime::now_utc(),
        false => function.created,
    };
    let created = created.format(&Rfc3339).unwrap();
    out.insert("createdAt".to_owned(), json!(created));
    if let Some(switch) = model.switch {
        distort(switch, &mut out, function);
    }
    Value::Object(out)
}

/// A constraint that nothing here satisfies, or an image that does not exist, leaves a function
/// without replicas.
fn available(model: &Model, function: &Function) -> u64 {
    let constraints = function.deployment.get("constraints");
    let mut constraints = constraints.and_then(Value::as_array).into_iter().flatten();
    let unsatisfied = |constraint: &Value| {
        let text = constraint.as_str().unwrap_or_default();
        text.contains("==") && !text.ends_with("linux")
    };
    let nowhere = constraints.any(unsatisfied) && !model.wrong(Switch::ConstraintsIgnored);
    let missing = !function.runs && !model.wrong(Switch::MissingImageAvailable);
    match nowhere || missing {
        true => 0,
        false => function.replicas,
    }
}

/// Makes the description of a function wrong.
fn distort(switch: Switch, out: &mut Out, function: &Function) {
    metadata(switch, out, function);
    environment(switch, out);
    resources(switch, out);
    the_rest(switch, out, function);
}

fn metadata(switch: Switch, out: &mut Out, function: &Function) {
    let plain = function.entries("labels").next().is_none();
    let annotated = function.entries("annotations").next().is_some();
    match switch {
        Switch::AnnotationsNull if !annotated => set(out, "annotations", Value::Null),
        Switch::AnnotationsTrimmed => each(&mut out["annotations"], |text| {
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        }),
        Switch::AnnotationsAscii => each(&mut out["annotations"], |text| {
            text.replace(|character: char| !character.is_ascii(), "?")
        }),
        Switch::AnnotationsCut => each(&mut out["annotations"], |text| {
            text.chars().take(1024).collect()
        }),
        Switch::AnnotationsEmptyLost => filled_only(&mut out["annotations"]),
        Switch::LabelsMissing if plain => drop(out.remove("labels")),
        Switch::LabelsRewritten => each(&mut out["labels"], |text| text.replace("true", "True")),
        Switch::LabelsCut => each(&mut out["labels"], |text| text.chars().take(63).collect()),
        Switch::LabelsEmptyLost => filled_only(&mut out["labels"]),
        Switch::NoFunctionLabel => drop(entries(&mut out["labels"]).remove("faas_function")),
        _ => {}
    }
}

fn environment(switch: Switch, out: &mut Out) {
    match (switch, out.get_mut("envVars")) {
        (Switch::EnvInvented, None) => set(out, "envVars", json!({})),
        (Switch::EnvCutAtEquals, Some(env)) => each(env, |text| {
            text.split('=').next().unwrap_or_default().to_owned()
        }),
        (Switch::EnvCutAtNewline, Some(env)) => each(env, |text| {
            text.lines().next().unwrap_or_default().to_owned()
        }),
        (Switch::EnvEmptyLost, Some(env)) => filled_only(env),
        (Switch::EnvNotShown, Some(_)) => drop(out.remove("envVars")),
        _ => {}
    }
}

fn resources(switch: Switch, out: &mut Out) {
    let Some(limits) = out.get_mut("limits") else {
        return;
    };
    match switch {
        Switch::MemoryInBytes if limits["memory"] == "5Mi" => limits["memory"] = json!("5242880"),
        Switch::CpuDropped if limits["cpu"] == "100m" => drop(entries(limits).remove("cpu")),
        Switch::QuantitiesCanonical => each(limits, |text| match text {
            "1024Mi" => "1Gi".to_owned(),
            "0.5" => "500m".to_owned(),
            text => text.to_owned(),
        }),
        _ => {}
    }
}

fn the_rest(switch: Switch, out: &mut Out, function: &Function) {
    match switch {
        Switch::ImageShortened => set(
            out,
            "image",
            json!(function.text("image").replace("docker.io/", "")),
        ),
        Switch::ImageTagged if !function.text("image").contains(':') => {
            set(
                out,
                "image",
                json!(format!("{}:latest", function.text("image"))),
            );
        }
        Switch::DigestLost => {
            let image = function.text("image").split('@').next();
            set(out, "image", json!(image));
        }
        Switch::ProcessSplit => set(out, "envProcess", json!("/bin/sh -c")),
        Switch::ProcessCutAtEquals => {
            let process = function.text("envProcess").split('=').next();
            set(out, "envProcess", json!(process));
        }
        Switch::ProcessInvented => drop(out.entry("envProcess").or_insert(json!("./index"))),
        Switch::ConstraintInvented => {
            let invented = json!(["node.platform.os == linux"]);
            out.entry("constraints").or_insert(invented);
        }
        Switch::ConstraintsSorted => sort(out.get_mut("constraints")),
        Switch::SecretsSorted => sort(out.get_mut("secrets")),
        Switch::RootReadOnly => set(out, "readOnlyRootFilesystem", json!(true)),
        Switch::ReadOnlyNotShown => drop(out.remove("readOnlyRootFilesystem")),
        Switch::CreatedInSeconds => set(out, "createdAt", json!(function.created.unix_timestamp())),
        Switch::CreatedMissing => drop(out.remove("createdAt")),
        Switch::NamespaceNotSaid => drop(out.remove("namespace")),
        Switch::NeverAvailable => drop(out.remove("availableReplicas")),
        Switch::ZeroOmitted if function.replicas == 0 => drop(out.remove("replicas")),
        _ => {}
    }
}

fn set(out: &mut Out, key: &str, value: Value) {
    out.insert(key.to_owned(), value);
}

fn entries(object: &mut Value) -> &mut Out {
    object.as_object_mut().unwrap()
}

/// Changes every text of an object.
fn each(object: &mut Value, change: impl Fn(&str) -> String) {
    for value in entries(object).values_mut() {
        *value = json!(change(value.as_str().unwrap_or_default()));
    }
}

fn filled_only(object: &mut Value) {
    entries(object).retain(|_, value| value != "");
}

fn sort(list: Option<&mut Value>) {
    let items = list.and_then(Value::as_array_mut);
    if let Some(items) = items {
        items.sort_by_key(Value::to_string);
    }
}
