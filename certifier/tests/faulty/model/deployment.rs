//! A deployment, read from a request and written into a status.

use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;

use super::answer::{Answer, refusal};
use super::request::{Request, text};
use super::state::{Function, Key, State};
use super::{Model, validate};
use crate::switch::Switch;

/// Every field, in the spelling of the API.
const FIELDS: [&str; 12] = [
    "service",
    "image",
    "namespace",
    "envProcess",
    "envVars",
    "constraints",
    "secrets",
    "labels",
    "annotations",
    "limits",
    "requests",
    "readOnlyRootFilesystem",
];

/// Reads and checks a deployment, before anything is touched.
pub(crate) fn read(model: &Model, request: &Request) -> Result<(Key, Map<String, Value>), Answer> {
    let mut deployment = request.object(&FIELDS)?;
    deployment.retain(|key, value| FIELDS.contains(&key.as_str()) && !value.is_null());
    let name = text(&deployment, "service")?.to_owned();
    validate::name("service", &name)?;
    if text(&deployment, "image")?.is_empty() {
        return Err(refusal(400, "image: missing"));
    }
    text(&deployment, "envProcess")?;
    for field in ["labels", "annotations", "envVars"] {
        validate::texts(&deployment, field)?;
    }
    validate::labels(&deployment)?;
    validate::resources(&deployment)?;
    for constraint in validate::list(&deployment, "constraints")? {
        validate::constraint(constraint)?;
    }
    let namespace = request.namespace(&deployment)?;
    validate::name("namespace", &namespace)?;
    let state = model.state();
    if !state.namespaces.contains_key(&namespace) {
        return Err(refusal(400, format!("namespace: there is no {namespace}")));
    }
    secrets(&state, &namespace, &deployment)?;
    deployment.insert("namespace".to_owned(), json!(namespace));
    for field in ["labels", "annotations"] {
        deployment.entry(field).or_insert_with(|| json!({}));
    }
    deployment
        .retain(|key, value| matches!(key.as_str(), "labels" | "annotations") || filled(value));
    Ok(((namespace, name), deployment))
}

/// Every secret exists, and is named once.
fn secrets(state: &State, namespace: &str, deployment: &Map<String, Value>) -> Result<(), Answer> {
    let names = validate::list(deployment, "secrets")?;
    for (index, name) in names.iter().enumerate() {
        validate::name("secrets", name)?;
        if names[..index].contains(name) {
            return Err(refusal(400, format!("secrets: {name} is named twice")));
        }
        let key = (namespace.to_owned(), (*name).to_owned());
        if !state.secrets.contains_key(&key) {
            return Err(refusal(400, format!("secrets: there is no {name}")));
        }
    }
    Ok(())
}

fn filled(value: &Value) -> bool {
    match value {
        Value::Object(entries) => !entries.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Bool(set) => *set,
        _ => true,
    }
}

/// The replicas that a deployment asks for at least.
pub(crate) fn minimum(model: &Model, deployment: &Map<String, Value>) -> u64 {
    let label = deployment["labels"]["com.openfaas.scale.min"].as_str();
    let label = label.filter(|_| !model.wrong(Switch::MinimumIgnored));
    label
        .and_then(|label| label.parse().ok())
        .unwrap_or(1)
        .max(1)
}

/// The function as the status and the list show it.
pub(crate) fn describe(model: &Model, key: &Key, function: &Function) -> Value {
    let (namespace, name) = key;
    let mut out = function.deployment.clone();
    out.remove("service");
    out.insert("name".to_owned(), json!(name));
    out.insert("namespace".to_owned(), json!(namespace));
    out["labels"]["faas_function"] = json!(name);
    out.insert("replicas".to_owned(), json!(function.replicas));
    out.insert("availableReplicas".to_owned(), json!(available(function)));
    let created = function.created.format(&Rfc3339).unwrap();
    out.insert("createdAt".to_owned(), json!(created));
    if let Some(switch) = model.switch {
        distort(switch, &mut out, function);
    }
    Value::Object(out)
}

/// A constraint that nothing here satisfies leaves a function without replicas.
fn available(function: &Function) -> u64 {
    let constraints = function.deployment.get("constraints");
    let mut constraints = constraints.and_then(Value::as_array).into_iter().flatten();
    let unsatisfied = |constraint: &Value| {
        let text = constraint.as_str().unwrap_or_default();
        text.contains("==") && !text.ends_with("linux")
    };
    match constraints.any(unsatisfied) {
        true => 0,
        false => function.replicas,
    }
}

/// Makes the description of a function wrong.
fn distort(switch: Switch, out: &mut Map<String, Value>, function: &Function) {
    let plain = function.entries("labels").next().is_none();
    let annotated = function.entries("annotations").next().is_some();
    match switch {
        Switch::AnnotationsNull if !annotated => set(out, "annotations", Value::Null),
        Switch::AnnotationsTrimmed => tidy(&mut out["annotations"]),
        Switch::LabelsMissing if plain => drop(out.remove("labels")),
        Switch::LabelsRewritten => rewrite(&mut out["labels"]),
        Switch::NoFunctionLabel => drop(
            out["labels"]
                .as_object_mut()
                .unwrap()
                .remove("faas_function"),
        ),
        Switch::ImageShortened => {
            let image = function.text("image").replace("docker.io/", "");
            set(out, "image", json!(image));
        }
        Switch::ProcessSplit => set(out, "envProcess", json!("/bin/sh -c")),
        Switch::MemoryInBytes if out.contains_key("limits") => {
            out["limits"]["memory"] = json!("5242880");
        }
        Switch::CpuDropped if out.contains_key("limits") => {
            drop(out["limits"].as_object_mut().unwrap().remove("cpu"));
        }
        Switch::EnvInvented => {
            out.entry("envVars").or_insert_with(|| json!({}));
        }
        Switch::ConstraintInvented => {
            let invented = json!(["node.platform.os == linux"]);
            out.entry("constraints").or_insert(invented);
        }
        Switch::RootReadOnly => set(out, "readOnlyRootFilesystem", json!(true)),
        Switch::NamespaceNotSaid => drop(out.remove("namespace")),
        Switch::NeverAvailable => drop(out.remove("availableReplicas")),
        _ => {}
    }
}

fn set(out: &mut Map<String, Value>, key: &str, value: Value) {
    out.insert(key.to_owned(), value);
}

/// What a platform does that takes the text for a boolean.
fn rewrite(labels: &mut Value) {
    for value in labels.as_object_mut().unwrap().values_mut() {
        if value == "true" {
            *value = json!("True");
        }
    }
}

/// What a provider does that passes annotations through something that likes tidy text.
fn tidy(annotations: &mut Value) {
    for value in annotations.as_object_mut().unwrap().values_mut() {
        let words: Vec<_> = value.as_str().unwrap().split_whitespace().collect();
        *value = json!(words.join(" "));
    }
}
