//! `/system/functions` and `/system/function/NAME`.

use serde_json::{Value, json};

use super::Model;
use super::answer::{self, Answer, empty, refusal};
use super::deployment::{self, describe, minimum};
use super::request::{Request, text};
use super::state::Function;
use crate::switch::Switch;

pub(crate) fn list(model: &Model, request: &Request) -> Answer {
    let namespace = request.namespace_in_query();
    let everywhere = model.wrong(Switch::NamespaceIgnored);
    let state = model.state();
    let wanted = state.functions.iter();
    let wanted = wanted.filter(|((there, _), _)| everywhere || *there == namespace);
    let mut list: Vec<_> = wanted
        .map(|(key, function)| {
            let mut listed = describe(model, key, function);
            listed["invocationCount"] = json!(function.calls);
            listed
        })
        .collect();
    match model.switch {
        Some(Switch::NotListed) => list.clear(),
        Some(Switch::ListedTwice) => list.extend(list.clone()),
        _ => {}
    }
    answer::json(200, &json!(list))
}

pub(crate) fn status(model: &Model, request: &Request, name: &str) -> Answer {
    let key = (request.namespace_in_query(), name.to_owned());
    let state = model.state();
    match state.functions.get(&key) {
        Some(function) => answer::json(200, &describe(model, &key, function)),
        None if model.wrong(Switch::StatusOfUnknown) => answer::json(200, &json!({"name": name})),
        None => refusal(404, format!("function {name} not found")),
    }
}

pub(crate) fn deploy(model: &Model, request: &Request) -> Result<Answer, Answer> {
    if model.wrong(Switch::NullRefused) && names_null_labels(request) {
        return Err(refusal(400, "labels: null"));
    }
    let (key, deployment) = deployment::read(model, request)?;
    let mut state = model.state();
    if state.functions.contains_key(&key) {
        return Err(refusal(409, format!("function {} exists", key.1)));
    }
    let replicas = minimum(model, &deployment);
    state
        .functions
        .insert(key, Function::new(deployment, replicas));
    Ok(empty(match model.switch {
        Some(Switch::DeployIs201) => 201,
        _ => 202,
    }))
}

fn names_null_labels(request: &Request) -> bool {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    body.get("labels").is_some_and(Value::is_null)
}

pub(crate) fn update(model: &Model, request: &Request) -> Result<Answer, Answer> {
    let (key, deployment) = deployment::read(model, request)?;
    let mut state = model.state();
    let least = minimum(model, &deployment);
    let Some(function) = state.functions.get_mut(&key) else {
        if model.wrong(Switch::UpdateCreates) {
            state
                .functions
                .insert(key, Function::new(deployment, least));
            return Ok(empty(202));
        }
        return Err(refusal(404, format!("function {} not found", key.1)));
    };
    if !model.wrong(Switch::UpdateIgnored) {
        function.deployment = deployment;
        function.replicas = function.replicas.max(least);
    }
    Ok(empty(if model.wrong(Switch::UpdateIs201) {
        201
    } else {
        202
    }))
}

pub(crate) fn delete(model: &Model, request: &Request) -> Result<Answer, Answer> {
    let body = request.object(&["functionName", "namespace"])?;
    let name = text(&body, "functionName")?.to_owned();
    if name.is_empty() {
        return Err(refusal(400, "functionName: missing"));
    }
    let key = (request.namespace(&body)?, name);
    let mut state = model.state();
    let known = match model.wrong(Switch::DeleteIgnored) {
        true => state.functions.contains_key(&key),
        false => state.functions.remove(&key).is_some(),
    };
    match known {
        true if model.wrong(Switch::DeleteIs204) => Ok(empty(204)),
        true => Ok(empty(202)),
        false => Err(refusal(404, format!("function {} not found", key.1))),
    }
}
