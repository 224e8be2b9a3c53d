//! A deployment, read from a request and written into a status.

use hyper::Method;
use serde_json::{Map, Value, json};

use super::answer::{Answer, refusal};
use super::request::{Request, text};
use super::state::{Key, State};
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
    if model.wrong(Switch::WrongTypesTaken) {
        deployment.retain(|key, value| fits(key, value));
    }
    let name = text(&deployment, "service")?.to_owned();
    model.name(Switch::BadNamesTaken, "service", &name)?;
    if text(&deployment, "image")?.is_empty() {
        model.unless(
            Switch::ImageMissingTaken,
            Err(refusal(400, "image: missing")),
        )?;
    }
    text(&deployment, "envProcess")?;
    for field in ["labels", "annotations", "envVars"] {
        validate::texts(&deployment, field)?;
    }
    labels(model, &deployment)?;
    resources(model, request, &deployment)?;
    for constraint in validate::list(&deployment, "constraints")? {
        model.unless(Switch::BadConstraintTaken, validate::constraint(constraint))?;
    }
    let namespace = request.namespace(&deployment)?;
    model.name(Switch::BadNamespaceTaken, "namespace", &namespace)?;
    let state = model.state();
    if !state.namespaces.contains_key(&namespace) {
        let unknown = refusal(400, format!("namespace: there is no {namespace}"));
        model.unless(Switch::UnknownNamespaceTaken, Err(unknown))?;
    }
    secrets(model, request, &state, &namespace, &deployment)?;
    deployment.insert("namespace".to_owned(), json!(namespace));
    for field in ["labels", "annotations"] {
        deployment.entry(field).or_insert_with(|| json!({}));
    }
    deployment
        .retain(|key, value| matches!(key.as_str(), "labels" | "annotations") || filled(value));
    Ok(((namespace, name), deployment))
}

/// Whether a value has the type that its field has.
fn fits(field: &str, value: &Value) -> bool {
    match field {
        "service" | "image" | "namespace" | "envProcess" => value.is_string(),
        "constraints" | "secrets" => value.is_array(),
        "readOnlyRootFilesystem" => value.is_boolean(),
        _ => value
            .as_object()
            .is_some_and(|entries| entries.values().all(Value::is_string)),
    }
}

fn labels(model: &Model, deployment: &Map<String, Value>) -> Result<(), Answer> {
    model.unless(Switch::OwnLabelsTaken, validate::own_labels(deployment))?;
    model.unless(Switch::ScaleLabelsTaken, validate::scale_labels(deployment))
}

fn resources(
    model: &Model,
    request: &Request,
    deployment: &Map<String, Value>,
) -> Result<(), Answer> {
    for kind in ["memory", "cpu"] {
        let found = validate::resources(deployment, kind).and_then(|(limit, request)| {
            let short = limit
                .zip(request)
                .is_some_and(|(limit, request)| limit < request);
            let line = format!("limits.{kind}: lower than requests.{kind}");
            let found = if short {
                Err(refusal(400, line))
            } else {
                Ok(())
            };
            model.unless(Switch::LimitsUnderRequestsTaken, found)
        });
        let found = model.unless(Switch::BadQuantityTaken, found);
        match request.method {
            Method::PUT => model.unless(Switch::UpdateQuantityTaken, found)?,
            _ => found?,
        }
    }
    Ok(())
}

/// Every secret exists, and is named once.
fn secrets(
    model: &Model,
    request: &Request,
    state: &State,
    namespace: &str,
    deployment: &Map<String, Value>,
) -> Result<(), Answer> {
    let names = validate::list(deployment, "secrets")?;
    for (index, name) in names.iter().enumerate() {
        model.name(Switch::SecretTraversalTaken, "secrets", name)?;
        if names[..index].contains(name) {
            let twice = refusal(400, format!("secrets: {name} is named twice"));
            model.unless(Switch::SecretTwiceTaken, Err(twice))?;
        }
        let key = (namespace.to_owned(), (*name).to_owned());
        if !state.secrets.contains_key(&key) {
            let missing = Err(refusal(400, format!("secrets: there is no {name}")));
            match request.method {
                Method::PUT => model.unless(Switch::UpdateSecretMissingTaken, missing)?,
                _ => model.unless(Switch::SecretMissingTaken, missing)?,
            }
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
