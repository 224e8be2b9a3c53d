//! `/system/scale-function/NAME`.

use serde_json::{Map, Value};

use super::Model;
use super::answer::{Answer, empty, refusal};
use super::request::{Request, text};
use super::validate::MOST_REPLICAS;
use crate::switch::Switch;

pub(crate) fn scale(model: &Model, request: &Request, name: &str) -> Result<Answer, Answer> {
    let body = request.object(&["serviceName", "replicas", "namespace"])?;
    let in_body = text(&body, "serviceName")?;
    if in_body.is_empty() && model.wrong(Switch::ServiceNameWanted) {
        return Err(refusal(400, "serviceName: missing"));
    }
    if !in_body.is_empty() && in_body != name {
        let mismatch = refusal(400, format!("serviceName: {in_body:?} is not {name:?}"));
        model.unless(Switch::ScaleMismatchTaken, Err(mismatch))?;
    }
    let wanted = replicas(model, &body)?;
    let key = (request.namespace(&body)?, name.to_owned());
    let mut state = model.state();
    let Some(function) = state.functions.get_mut(&key) else {
        let status = if model.wrong(Switch::ScaleOfUnknownTaken) {
            202
        } else {
            404
        };
        return Err(refusal(status, format!("function {name} not found")));
    };
    if model.wrong(Switch::RaceScalesRefused) && request.crowded {
        return Err(refusal(500, "update out of sequence"));
    }
    function.replicas = match model.switch {
        Some(Switch::ZeroClamped) => wanted.max(1),
        Some(Switch::ScaleClamped) => wanted.min(1),
        Some(Switch::ReplicasOffByOne) if wanted > 0 => wanted + 1,
        _ => wanted,
    };
    Ok(empty(match model.switch {
        Some(Switch::ScaleIs204) => 204,
        Some(Switch::ScaleToZeroIs204) if wanted == 0 => 204,
        _ => 202,
    }))
}

fn replicas(model: &Model, body: &Map<String, Value>) -> Result<u64, Answer> {
    let most = match model.wrong(Switch::ReplicasUnbounded) {
        true => u64::MAX,
        false => MOST_REPLICAS,
    };
    let replicas = match body.get("replicas") {
        None | Some(Value::Null) => return Ok(0),
        Some(replicas) => replicas,
    };
    match replicas.as_u64().filter(|&replicas| replicas <= most) {
        Some(replicas) => Ok(replicas),
        None if model.wrong(Switch::BadReplicasTaken) && replicas.as_u64().is_none() => Ok(1),
        None => Err(refusal(
            400,
            format!("replicas: {replicas} is not 0 to {MOST_REPLICAS}"),
        )),
    }
}
