//! `/system/functions` and `/system/function/NAME`.

use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::Model;
use super::answer::{self, Answer, empty, refusal};
use super::deployment::{self, minimum};
use super::describe::describe;
use super::request::{Request, text};
use super::state::{Function, Key, State, has_image};
use crate::switch::Switch;

/// How long something lingers for those who look at once.
const MOMENT: Duration = Duration::from_secs(3);

pub(crate) fn list(model: &Model, request: &Request) -> Answer {
    let namespace = request.namespace_in_query();
    let everywhere = model.wrong(Switch::NamespaceIgnored);
    let mut state = model.state();
    state.lists += 1;
    let lingering = state.deleted.iter().filter(|(key, (_, at))| {
        let late = model.wrong(Switch::DeletedStillListed) && young(*at);
        late && !state.functions.contains_key(*key)
    });
    let lingering = lingering.map(|(key, (function, _))| (key, function));
    let all = state.functions.iter().chain(lingering);
    let wanted = all.filter(|((there, _), _)| everywhere || *there == namespace);
    let mut list: Vec<_> = wanted
        .map(|(key, function)| listed(model, key, function))
        .collect();
    match model.switch {
        Some(Switch::NotListed) => list.clear(),
        Some(Switch::ListedTwice) => list.extend(list.clone()),
        Some(Switch::ListUnsorted) if !list.is_empty() => {
            let by = state.lists % list.len();
            list.rotate_left(by);
        }
        Some(Switch::EmptyListIsNull) if list.is_empty() => return plain(model, &Value::Null),
        _ => {}
    }
    plain(model, &json!(list))
}

fn listed(model: &Model, key: &Key, function: &Function) -> Value {
    let mut listed = describe(model, key, function);
    listed["invocationCount"] = json!(function.calls);
    if model.wrong(Switch::AvailableNotListed) {
        listed["availableReplicas"] = json!(0);
    }
    listed
}

/// JSON, unless its type is what is wrong.
fn plain(model: &Model, value: &Value) -> Answer {
    let mut answer = answer::json(200, value);
    if model.wrong(Switch::ViewsAsText) {
        let kind = HeaderValue::from_static("text/plain");
        answer.headers_mut().insert(CONTENT_TYPE, kind);
    }
    answer
}

fn young(at: OffsetDateTime) -> bool {
    OffsetDateTime::now_utc() - at < MOMENT
}

pub(crate) fn status(model: &Model, request: &Request, name: &str) -> Answer {
    let key = (request.namespace_in_query(), name.to_owned());
    let usage = request.parameter("usage").unwrap_or_default();
    if model.wrong(Switch::UsageRefused) && !matches!(usage, "" | "1") {
        return refusal(400, "usage: not 1");
    }
    let state = model.state();
    let function = state.functions.get(&key);
    match function.filter(|_| !model.wrong(Switch::StatusMissing)) {
        Some(function) => plain(model, &describe(model, &key, function)),
        None if model.wrong(Switch::StatusOfUnknown) => answer::json(200, &json!({"name": name})),
        None => refusal(404, format!("function {name} not found")),
    }
}

pub(crate) fn deploy(model: &Model, request: &Request) -> Result<Answer, Answer> {
    if model.wrong(Switch::NullRefused) && names_null_labels(request) {
        return Err(refusal(400, "labels: null"));
    }
    let kind = request.headers.get(CONTENT_TYPE);
    let is_json = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if model.wrong(Switch::ContentTypeWanted) && !is_json {
        return Err(refusal(415, "not application/json"));
    }
    let (key, deployment) = deployment::read(model, request)?;
    let mut state = model.state();
    if let Some(refused) = conflict(model, request, &state, &key) {
        return Err(refused);
    }
    if model.wrong(Switch::CrowdLost) && request.crowded {
        return Ok(empty(202));
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

/// Why a function of this name cannot be made.
fn conflict(model: &Model, request: &Request, state: &State, key: &Key) -> Option<Answer> {
    let exists = state.functions.contains_key(key);
    let raced = model.wrong(Switch::RaceOverwrites) && request.crowded;
    match model.switch {
        Some(Switch::RedeployRefused) => {
            let deleted = state.deleted.get(key).is_some_and(|(_, at)| young(*at));
            let line = format!("function {} is still going away", key.1);
            (exists || deleted).then(|| refusal(409, line))
        }
        Some(Switch::ExistingOverwritten) => None,
        Some(Switch::ExistingIs500) if exists => Some(refusal(500, "conflict")),
        _ if exists && !raced => Some(refusal(409, format!("function {} exists", key.1))),
        _ => None,
    }
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
        let status = if model.wrong(Switch::UpdateOfUnknownIs500) {
            500
        } else {
            404
        };
        return Err(refusal(status, format!("function {} not found", key.1)));
    };
    if model.wrong(Switch::RaceUpdatesRefused) && request.crowded {
        return Err(refusal(400, "update out of sequence"));
    }
    if !model.wrong(Switch::UpdateIgnored) {
        apply(model, function, deployment, least);
    }
    Ok(empty(if model.wrong(Switch::UpdateIs201) {
        201
    } else {
        202
    }))
}

fn apply(model: &Model, function: &mut Function, mut deployment: Map<String, Value>, least: u64) {
    for field in ["labels", "annotations", "envVars"] {
        let reduced = !deployment.contains_key(field);
        let kept = match model.switch {
            Some(Switch::UpdateMerges) => function.deployment.get(field),
            Some(Switch::EnvNeverEmptied) if reduced => function.deployment.get(field),
            _ => None,
        };
        let kept = kept.and_then(Value::as_object).cloned().unwrap_or_default();
        if kept.is_empty() {
            continue;
        }
        let entries = deployment.entry(field).or_insert_with(|| json!({}));
        for (name, value) in kept {
            entries
                .as_object_mut()
                .unwrap()
                .entry(name)
                .or_insert(value);
        }
    }
    if model.wrong(Switch::UpdateReadOnlyIgnored) {
        deployment.remove("readOnlyRootFilesystem");
    }
    // Otherwise the version before goes on.
    function.runs =
        has_image(&deployment) || (function.runs && !model.wrong(Switch::UpdateReplacesBlindly));
    function.deployment = deployment;
    function.replicas = match model.switch {
        Some(Switch::UpdateResetsReplicas) => least,
        Some(Switch::UpdateMinimumIgnored) => function.replicas,
        _ => function.replicas.max(least),
    };
    if model.wrong(Switch::UpdateMovesCreation) {
        function.created = OffsetDateTime::now_utc();
    }
    function.stumbles = if model.wrong(Switch::UpdateDropsCalls) {
        2
    } else {
        0
    };
}

pub(crate) fn delete(model: &Model, request: &Request) -> Result<Answer, Answer> {
    let body = request.object(&["functionName", "namespace"])?;
    let name = text(&body, "functionName")?.to_owned();
    if name.is_empty() {
        let missing = Err(refusal(400, "functionName: missing"));
        model.unless(Switch::DeleteOfNothingTaken, missing)?;
        return Ok(empty(202));
    }
    let key = (request.namespace(&body)?, name);
    let mut state = model.state();
    let known = match model.wrong(Switch::DeleteIgnored) {
        true => state.functions.contains_key(&key),
        false => state.forget(&key),
    };
    let raced = model.wrong(Switch::RaceDeletesTaken) && request.crowded;
    match known || raced {
        true if model.wrong(Switch::DeleteIs204) => Ok(empty(204)),
        true => Ok(empty(202)),
        false if model.wrong(Switch::DeleteOfUnknownTaken) => Ok(empty(200)),
        false => Err(refusal(404, format!("function {} not found", key.1))),
    }
}
