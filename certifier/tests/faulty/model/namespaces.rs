//! `/system/namespaces` and `/system/namespace/NAME`.

use serde_json::{Map, Value, json};

use super::answer::{self, Answer, empty, refusal};
use super::request::{Request, text};
use super::state::DEFAULT;
use super::{Model, validate};
use crate::switch::Switch;

const FIELDS: [&str; 3] = ["name", "labels", "annotations"];

pub(crate) fn list(model: &Model) -> Answer {
    let names: Vec<_> = model.state().namespaces.keys().cloned().collect();
    let list = match model.switch {
        Some(Switch::NoNamespaces) => json!([]),
        Some(Switch::NamespaceTwice) => json!([names.clone(), names].concat()),
        Some(Switch::DefaultNotListed) => json!(
            names
                .iter()
                .filter(|name| *name != DEFAULT)
                .collect::<Vec<_>>()
        ),
        Some(Switch::NamespacesAsObjects) => json!(
            names
                .iter()
                .map(|name| json!({"name": name}))
                .collect::<Vec<_>>()
        ),
        _ => json!(names),
    };
    answer::json(200, &list)
}

pub(crate) fn get(model: &Model, name: &str) -> Result<Answer, Answer> {
    let state = model.state();
    if model.wrong(Switch::NamespaceCrudMissing) {
        return Err(refusal(501, "not implemented"));
    }
    let Some(marks) = state.namespaces.get(name) else {
        if model.wrong(Switch::NamespaceOfUnknownGiven) {
            return Ok(answer::json(200, &json!({"name": name})));
        }
        return Err(unknown(name));
    };
    let mut namespace = marks.clone();
    if model.wrong(Switch::NamespaceLabelsLost) {
        namespace["labels"] = json!({});
    }
    namespace["name"] = json!(name);
    Ok(answer::json(200, &namespace))
}

pub(crate) fn create(model: &Model, request: &Request) -> Result<Answer, Answer> {
    let body = request.object(&FIELDS)?;
    let name = text(&body, "name")?.to_owned();
    model.name(Switch::NamespaceBadNameTaken, "name", &name)?;
    let marks = marks(model, &body)?;
    let mut state = model.state();
    if state.namespaces.contains_key(&name) {
        let exists = refusal(409, format!("namespace {name} exists"));
        model.unless(Switch::NamespaceTwiceCreated, Err(exists))?;
    }
    if !model.wrong(Switch::NamespaceNotCreated) {
        state.namespaces.insert(name, marks);
    }
    Ok(empty(if model.wrong(Switch::NamespaceCreateIs204) {
        204
    } else {
        201
    }))
}

pub(crate) fn update(model: &Model, request: &Request, name: &str) -> Result<Answer, Answer> {
    let body = same_name(model, request, name)?;
    let marks = marks(model, &body)?;
    let mut state = model.state();
    match state.namespaces.get_mut(name) {
        Some(_) if model.wrong(Switch::NamespaceUpdateIgnored) => {}
        Some(kept) => *kept = marks,
        None => return Err(unknown(name)),
    }
    Ok(empty(202))
}

pub(crate) fn delete(model: &Model, request: &Request, name: &str) -> Result<Answer, Answer> {
    if !request.body.is_empty() {
        same_name(model, request, name)?;
    }
    let mut state = model.state();
    if !state.namespaces.contains_key(name) {
        return Err(unknown(name));
    }
    let mut keys = state.functions.keys().chain(state.secrets.keys());
    if name == DEFAULT || keys.any(|(namespace, _)| namespace == name) {
        let filled = refusal(409, format!("namespace {name} is not empty"));
        model.unless(Switch::FilledNamespaceDeleted, Err(filled))?;
    }
    drop(keys);
    if !model.wrong(Switch::NamespaceDeleteIgnored) {
        state.namespaces.remove(name);
    }
    Ok(empty(202))
}

/// The body, whose name must be that of the path.
fn same_name(model: &Model, request: &Request, name: &str) -> Result<Map<String, Value>, Answer> {
    let body = request.object(&FIELDS)?;
    match text(&body, "name")? {
        "" => Ok(body),
        same if same == name || model.wrong(Switch::NamespaceMismatchTaken) => Ok(body),
        other => Err(refusal(400, format!("name: {other:?} is not {name:?}"))),
    }
}

/// Labels and annotations, one of which must mark the namespace as one of functions.
fn marks(model: &Model, body: &Map<String, Value>) -> Result<Value, Answer> {
    let mut marks = json!({});
    for field in ["labels", "annotations"] {
        validate::texts(body, field)?;
        marks[field] = body.get(field).cloned().unwrap_or_else(|| json!({}));
    }
    let marked = |field: &str| matches!(marks[field]["openfaas"].as_str(), Some("1" | "true"));
    let needed = !model.wrong(Switch::NamespaceMarkUnneeded);
    match !needed || marked("labels") || marked("annotations") {
        true => Ok(marks),
        false => Err(refusal(400, "labels: openfaas=1 is missing")),
    }
}

fn unknown(name: &str) -> Answer {
    refusal(404, format!("namespace {name} not found"))
}
