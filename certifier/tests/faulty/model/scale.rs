//! `/system/scale-function/NAME`.

use serde_json::Value;

use super::Model;
use super::answer::{Answer, empty, refusal};
use super::request::{Request, text};
use super::validate::MOST_REPLICAS;
use crate::switch::Switch;

pub(crate) fn scale(model: &Model, request: &Request, name: &str) -> Result<Answer, Answer> {
    let body = request.object(&["serviceName", "replicas", "namespace"])?;
    let in_body = text(&body, "serviceName")?;
    if !in_body.is_empty() && in_body != name {
        return Err(refusal(
            400,
            format!("serviceName: {in_body:?} is not {name:?}"),
        ));
    }
    let wanted = match body.get("replicas") {
        None | Some(Value::Null) => 0,
        Some(replicas) => replicas
            .as_u64()
            .filter(|&replicas| replicas <= MOST_REPLICAS)
            .ok_or_else(|| {
                refusal(
                    400,
                    format!("replicas: {replicas} is not 0 to {MOST_REPLICAS}"),
                )
            })?,
    };
    let key = (request.namespace(&body)?, name.to_owned());
    let mut state = model.state();
    let Some(function) = state.functions.get_mut(&key) else {
        return Err(refusal(404, format!("function {name} not found")));
    };
    let least = u64::from(model.wrong(Switch::ZeroClamped));
    function.replicas = wanted.max(least);
    Ok(empty(if model.wrong(Switch::ScaleIs204) {
        204
    } else {
        202
    }))
}
