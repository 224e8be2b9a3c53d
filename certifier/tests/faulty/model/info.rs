//! What the platform says of itself.

use serde_json::{Value, json};

use super::Model;
use super::answer::{self, Answer, empty};
use crate::switch::Switch;

pub(crate) fn health(model: &Model) -> Answer {
    empty(if model.wrong(Switch::Unhealthy) {
        503
    } else {
        200
    })
}

pub(crate) fn info(model: &Model) -> Answer {
    let sha = if model.wrong(Switch::ShaEmpty) {
        ""
    } else {
        "abc"
    };
    let provider = json!({
        "provider": "model", "orchestration": "none", "version": {"release": "1", "sha": sha},
    });
    if !model.is_gateway {
        return answer::json(200, &provider);
    }
    let mut version = json!({"release": "1", "sha": "def"});
    if model.wrong(Switch::NoGatewayVersion) {
        version = Value::Null;
    }
    let info = json!({"provider": provider, "version": version, "arch": "x86_64"});
    answer::json(200, &info)
}
