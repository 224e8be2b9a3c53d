//! `/system/secrets`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use super::answer::{self, Answer, empty, refusal};
use super::request::{Request, text};
use super::state::Key;
use super::{Model, validate};
use crate::switch::Switch;

/// As long as a secret may be.
const LONGEST: usize = 500 * 1024;

pub(crate) fn list(model: &Model, request: &Request) -> Answer {
    let asked = request.namespace_in_query();
    let state = model.state();
    let wanted = state.secrets.iter();
    let wanted = wanted.filter(|((namespace, _), _)| *namespace == asked);
    let mut list: Vec<_> = wanted
        .map(|((namespace, name), content)| {
            let mut secret = json!({"name": name, "namespace": namespace});
            if model.wrong(Switch::SecretsDisclosed) {
                secret["rawValue"] = json!(BASE64_STANDARD.encode(content));
            }
            secret
        })
        .collect();
    if model.wrong(Switch::SecretsNotListed) {
        list.clear();
    }
    answer::json(200, &json!(list))
}

pub(crate) fn create(model: &Model, request: &Request) -> Result<Answer, Answer> {
    let (key, body) = read(model, request)?;
    let content = content(model, &body)?;
    let mut state = model.state();
    let raced = model.wrong(Switch::RaceSecretsTaken) && request.crowded;
    if state.secrets.contains_key(&key) && !raced {
        let exists = refusal(409, format!("secret {} exists", key.1));
        model.unless(Switch::SecretTwiceCreated, Err(exists))?;
    }
    state.secrets.insert(key, content);
    Ok(empty(if model.wrong(Switch::SecretCreateIs204) {
        204
    } else {
        201
    }))
}

pub(crate) fn update(model: &Model, request: &Request) -> Result<Answer, Answer> {
    let (key, body) = read(model, request)?;
    let content = content(model, &body)?;
    if model.wrong(Switch::SecretUpdateRefused) {
        return Err(empty(405));
    }
    let mut state = model.state();
    if model.wrong(Switch::SecretUpdateCreates) {
        state.secrets.entry(key.clone()).or_default();
    }
    let Some(kept) = state.secrets.get_mut(&key) else {
        return Err(refusal(404, format!("secret {} not found", key.1)));
    };
    if !model.wrong(Switch::SecretUpdateIgnored) {
        *kept = content;
    }
    Ok(empty(if model.wrong(Switch::SecretUpdateIs201) {
        201
    } else {
        200
    }))
}

pub(crate) fn delete(model: &Model, request: &Request) -> Result<Answer, Answer> {
    let (key, _) = read(model, request)?;
    let mut state = model.state();
    if !state.secrets.contains_key(&key) {
        let status = if model.wrong(Switch::SecretDeleteOfUnknownTaken) {
            200
        } else {
            404
        };
        return Err(refusal(status, format!("secret {} not found", key.1)));
    }
    let mounted = state.functions.iter().any(|((namespace, _), function)| {
        let secrets = function.deployment.get("secrets").and_then(Value::as_array);
        let named = secrets.is_some_and(|secrets| secrets.contains(&json!(key.1)));
        *namespace == key.0 && named
    });
    if mounted {
        let in_use = refusal(409, format!("secret {} is in use", key.1));
        model.unless(Switch::SecretInUseDeleted, Err(in_use))?;
    }
    if !model.wrong(Switch::SecretDeleteIgnored) {
        state.secrets.remove(&key);
    }
    Ok(empty(if model.wrong(Switch::SecretDeleteIs204) {
        204
    } else {
        200
    }))
}

fn read(model: &Model, request: &Request) -> Result<(Key, Map<String, Value>), Answer> {
    let body = request.object(&["name", "namespace", "value", "rawValue"])?;
    let name = text(&body, "name")?.to_owned();
    model.name(Switch::SecretBadNamesTaken, "name", &name)?;
    let namespace = request.namespace(&body)?;
    validate::name(model, "namespace", &namespace)?;
    Ok(((namespace, name), body))
}

/// The content, `rawValue` before `value`.
fn content(model: &Model, body: &Map<String, Value>) -> Result<Vec<u8>, Answer> {
    let raw = text(body, "rawValue")?;
    let shadowed = model.wrong(Switch::ValueWins) && !text(body, "value")?.is_empty();
    let mut content = match raw.is_empty() || shadowed || model.wrong(Switch::RawValueUnknown) {
        true => text(body, "value")?.as_bytes().to_vec(),
        false => BASE64_STANDARD
            .decode(raw)
            .map_err(|error| refusal(400, format!("rawValue: {error}")))?,
    };
    if content.is_empty() {
        return Err(refusal(400, "value: missing"));
    }
    if content.len() > LONGEST {
        let long = refusal(413, format!("value: longer than {LONGEST} bytes"));
        model.unless(Switch::LongSecretTaken, Err(long))?;
    }
    match model.switch {
        Some(Switch::SecretTrimmed) => content = content.trim_ascii().to_vec(),
        Some(Switch::SecretCutAtNul) => content = before_nul(&content),
        Some(Switch::SecretWithNewline) => content.push(b'\n'),
        Some(Switch::SecretEncoded) => content = BASE64_STANDARD.encode(&content).into_bytes(),
        _ => {}
    }
    Ok(content)
}

/// As a program sees it that takes bytes for a text of C.
fn before_nul(content: &[u8]) -> Vec<u8> {
    let parts = content.split(|&byte| byte == 0);
    parts.into_iter().next().unwrap_or_default().to_vec()
}
