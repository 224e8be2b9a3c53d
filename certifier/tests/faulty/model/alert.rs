//! `/system/alert`: more replicas while an alert is firing, the least when it is resolved.

use serde_json::Value;

use super::Model;
use super::answer::{Answer, empty, refusal};
use super::request::Request;
use super::state::{DEFAULT, Function};
use crate::switch::Switch;

pub(crate) fn alert(model: &Model, request: &Request) -> Result<Answer, Answer> {
    let body = serde_json::from_slice(&request.body);
    if body.is_err() && model.wrong(Switch::BadAlertTaken) {
        return Ok(empty(200));
    }
    let body: Value =
        body.map_err(|error| refusal(400, format!("the body is not JSON: {error}")))?;
    let alerts = body["alerts"].as_array().into_iter().flatten();
    for alert in alerts {
        let name = alert["labels"]["function_name"]
            .as_str()
            .unwrap_or_default();
        let (name, namespace) = name.rsplit_once('.').unwrap_or((name, DEFAULT));
        let key = (namespace.to_owned(), name.to_owned());
        let firing = alert["status"] == "firing";
        if let Some(function) = model.state().functions.get_mut(&key) {
            function.replicas = match model.switch {
                Some(Switch::AlertIgnored) => function.replicas,
                Some(Switch::ResolvedIgnored) if !firing => function.replicas,
                Some(Switch::AlertOverMaximum) if firing => function.replicas + 7,
                _ => replicas(function, firing),
            };
        }
    }
    Ok(empty(200))
}

fn replicas(function: &Function, firing: bool) -> u64 {
    let label = |name: &str, otherwise: u64| {
        let label = function.entry("labels", &format!("com.openfaas.scale.{name}"));
        label
            .and_then(|label| label.parse().ok())
            .unwrap_or(otherwise)
    };
    let (least, most, factor) = (label("min", 1), label("max", 20), label("factor", 20));
    let step = (most * factor).div_ceil(100);
    match (firing, step) {
        _ if function.replicas == 0 => 0,
        (true, 0) | (false, _) => least,
        (true, step) => (function.replicas + step).min(most),
    }
}
