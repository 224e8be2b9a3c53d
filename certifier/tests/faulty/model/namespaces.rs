//! `/system/namespaces` and `/system/namespace/NAME`.

use serde_json::{Map, Value, json};

use super::answer::{self, Answer, empty, refusal};
use super::request::{Request, text};
use super::state::{DEFAULT, SECOND};
use super::{Model, validate};
use crate::switch::Switch;

const FIELDS: [&str; 3] = ["name", "labels", "annotations"];

pub(crate) fn list(model: &Model) -> Answer {
    let names: Vec<_> = model.state().namespaces.keys().cloned().collect();
    let list = match model.switch {
        Some(Switch::NoNamespaces) => json!([]),
        Some(Switch::NamespaceTwice) => json!([DEFAULT, SECOND, SECOND]),
        _ => json!(names),
    };
    answer::json(200, &list)
}

pub(crate) fn get(model: &Model, name: &str) -> Result<Answer, Answer> {
    let state = model.state();
    let Some(marks) = state.namespaces.get(name) else {
        return Err(unknown(name));
    };
    let mut namespace = marks.clone();
    namespace["name"] = json!(name);
    Ok(answer::json(200, &namespace))
}

pub(crate) fn create(model: &Model, request: &Request) -> Result<Answer, Answer> {
    let body = request.object(&FIELDS)?;
    let name = text(&body, "name")?.to_owned();
    validate::name("name", &name)?;
    let marks = marks(&body)?;
    let mut state = model.state();
    if state.namespaces.contains_key(&name) {
        return Err(refusal(409, format!("namespace {name} exists")));
    }
    state.namespaces.insert(name, marks);
    Ok(empty(201))
}

pub(crate) fn update(model: &Model, request: &Request, name: &str) -> Result<Answer, Answer> {
    let body = same_name(request, name)?;
    let marks = marks(&body)?;
    let mut state = model.state();
    match state.namespaces.get_mut(name) {
        Some(kept) => *kept = marks,
        None => return Err(unknown(name)),
    }
    Ok(empty(202))
}

pub(crate) fn delete(model: &Model, request: &Request, name: &str) -> Result<Answer, Answer> {
    if !request.body.is_empty() {
        same_name(request, name)?;
    }
    let mut state = model.state();
    if !state.namespaces.contains_key(name) {
        return Err(unknown(name));
    }
    let mut keys = state.functions.keys().chain(state.secrets.keys());
    if name == DEFAULT || keys.any(|(namespace, _)| namespace == name) {
        return Err(refusal(409, format!("namespace {name} is not empty")));
    }
    state.namespaces.remove(name);
    Ok(empty(202))
}

/// The body, whose name must be that of the path.
fn same_name(request: &Request, name: &str) -> Result<Map<String, Value>, Answer> {
    let body = request.object(&FIELDS)?;
    match text(&body, "name")? {
        "" => Ok(body),
        same if same == name => Ok(body),
        other => Err(refusal(400, format!("name: {other:?} is not {name:?}"))),
    }
}

/// Labels and annotations, one of which must mark the namespace as one of functions.
fn marks(body: &Map<String, Value>) -> Result<Value, Answer> {
    let mut marks = json!({});
    for field in ["labels", "annotations"] {
        validate::texts(body, field)?;
        marks[field] = body.get(field).cloned().unwrap_or_else(|| json!({}));
    }
    let marked = |field: &str| matches!(marks[field]["openfaas"].as_str(), Some("1" | "true"));
    match marked("labels") || marked("annotations") {
        true => Ok(marks),
        false => Err(refusal(400, "labels: openfaas=1 is missing")),
    }
}

fn unknown(name: &str) -> Answer {
    refusal(404, format!("namespace {name} not found"))
}
