//! What the platform says of itself.

use hyper::header::LOCATION;
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
    let unless = |switch, text| if model.wrong(switch) { "" } else { text };
    let provider = json!({
        "provider": unless(Switch::ProviderNameless, "model"),
        "orchestration": unless(Switch::OrchestrationEmpty, "none"),
        "version": {
            "release": unless(Switch::ReleaseEmpty, "1"),
            "sha": unless(Switch::ShaEmpty, "abc"),
        },
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

/// People are sent to the pages.
pub(crate) fn root() -> Answer {
    let mut answer = empty(307);
    answer::set(&mut answer, LOCATION, "/ui/");
    answer
}
