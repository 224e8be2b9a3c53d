//! One call of a function, from the door to its process and back.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, AUTHORIZATION, HeaderName, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Method};

use super::Model;
use super::answer::{Answer, Body, bytes, empty, refusal, set};
use super::state::{DEFAULT, Function, Key, State};
use super::{forward, programs, routes};
use crate::switch::Switch;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Who says that a call failed, when it is not the function.
const SAYS: HeaderName = HeaderName::from_static("x-openfaas-internal");
const CALL_ID: HeaderName = HeaderName::from_static("x-call-id");
const START_TIME: HeaderName = HeaderName::from_static("x-start-time");

/// A call as the function gets it.
pub(crate) struct Call {
    pub(crate) key: Key,
    pub(crate) function: Function,
    pub(crate) method: Method,
    /// What follows the function's name, as it was sent; `/` when there is nothing.
    pub(crate) path: String,
    /// As it was sent, without the `?`; empty when there is none.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    /// The protocol that the caller wants to go on with.
    pub(crate) upgrade: Option<HeaderValue>,
    /// The caller's connection, should it change its protocol.
    pub(crate) connection: Option<OnUpgrade>,
}

impl Call {
    /// What the watchdog runs: the variable wins over the field.
    pub(crate) fn process(&self, model: &Model) -> &str {
        let variable = self.function.entry("envVars", "fprocess");
        let variable = variable.filter(|_| !model.wrong(Switch::ProcessVariableLost));
        variable.unwrap_or_else(|| self.function.text("envProcess"))
    }
}

pub(crate) async fn call(
    model: &Arc<Model>,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
) -> Answer {
    let id = given_or_new_id(request.headers());
    let mut answer = match resolve(model, request, "/function/", peer, &id) {
        Ok((mut call, body)) => {
            let answer = programs::run(model, &mut call, body).await;
            model.count(&call.key, answer.status().as_u16());
            answer
        }
        Err(refused) => refused,
    };
    if model.is_gateway {
        correlate(model, &mut answer, &id);
    }
    if model.wrong(Switch::CorsAdded) {
        set(&mut answer, ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    }
    answer
}

/// Finds the function, and turns the request into the one that it gets.
pub(crate) fn resolve(
    model: &Model,
    mut request: hyper::Request<Incoming>,
    prefix: &str,
    peer: SocketAddr,
    id: &str,
) -> Result<(Call, Body), Answer> {
    refuse(model, &request)?;
    let connection = hyper::upgrade::on(&mut request);
    let (head, body) = request.into_parts();
    let path = head.uri.path().strip_prefix(prefix).unwrap_or_default();
    let (name, rest) = path
        .find('/')
        .map_or((path, "/"), |slash| path.split_at(slash));
    let key = named(model, name)?;
    let function = admit(model, &key)?;
    let mut headers = head.headers;
    if model.authorization.is_some() && presented(&headers) == model.authorization.as_deref() {
        return Err(refusal(
            500,
            "a function was given the platform's credentials",
        ));
    }
    let upgrade = forward::upgrade(&headers);
    forward::headers(model, &mut headers, peer, id);
    let call = Call {
        key,
        function,
        method: head.method,
        path: forward::path(model, rest)?,
        query: forward::query(model, head.uri.query().unwrap_or_default()),
        headers,
        upgrade,
        connection: Some(connection),
    };
    Ok((call, body.map_err(io::Error::other).boxed_unsync()))
}

/// What is not forwarded at all.
fn refuse(model: &Model, request: &hyper::Request<Incoming>) -> Result<(), Answer> {
    if model.wrong(Switch::FunctionsWantCredentials) && presented(request.headers()).is_none() {
        return Err(routes::stranger(model));
    }
    let method = request.method().as_str();
    let known = match model.switch {
        Some(Switch::HeadRefused) => method != "HEAD",
        Some(Switch::OptionsRefused) => method != "OPTIONS",
        _ => true,
    };
    if known && (METHODS.contains(&method) || model.wrong(Switch::AnyMethodTaken)) {
        return Ok(());
    }
    let mut refused = empty(405);
    set(&mut refused, ALLOW, METHODS.join(", "));
    Err(refused)
}

/// Namespace and name, split at the last dot.
fn named(model: &Model, name: &str) -> Result<Key, Answer> {
    let split = name.rsplit_once('.');
    let bare = split.is_none();
    let (name, namespace) = split.unwrap_or((name, DEFAULT));
    if bare && model.wrong(Switch::BareNameUnknown) {
        return Err(own(model, 404, format!("function {name} not found")));
    }
    let key = (namespace.to_owned(), name.to_owned());
    let state = model.state();
    Ok(match model.switch {
        Some(Switch::CallNamespaceIgnored) if !state.functions.contains_key(&key) => {
            (DEFAULT.to_owned(), key.1)
        }
        Some(Switch::PrefixMatches) => prefixed(&state, &key).unwrap_or(key),
        _ => key,
    })
}

/// A function whose name begins that way.
fn prefixed(state: &State, (namespace, name): &Key) -> Option<Key> {
    let mut keys = state.functions.keys();
    let begins = |key: &&Key| key.0 == *namespace && key.1.starts_with(name.as_str());
    keys.find(begins).filter(|_| !name.is_empty()).cloned()
}

fn presented(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
}

/// Counts the call, and brings the function back from zero as a gateway does.
fn admit(model: &Model, key: &Key) -> Result<Function, Answer> {
    let mut state = model.state();
    if key.1.is_empty() && model.wrong(Switch::EmptyNameIs500) {
        return Err(empty(500));
    }
    let Some(function) = state.functions.get_mut(key) else {
        let status = match model.switch {
            Some(Switch::UnknownIs503) => 503,
            Some(Switch::UnknownIs200) => 200,
            _ => 404,
        };
        return Err(own(model, status, format!("function {} not found", key.1)));
    };
    function.calls += 1;
    if let Some(fewer) = function.stumbles.checked_sub(1) {
        function.stumbles = fewer;
        return Err(own(model, 502, format!("no answer from {}", key.1)));
    }
    let too_soon = function.calls == 1 && model.wrong(Switch::AvailableTooSoon);
    if too_soon || cold(model, function) {
        let status = if model.wrong(Switch::ZeroIs502) {
            502
        } else {
            503
        };
        return Err(own(
            model,
            status,
            format!("no replica of {} is ready", key.1),
        ));
    }
    Ok(function.clone())
}

/// Whether there is no replica, also after a try to bring one back.
fn cold(model: &Model, function: &mut Function) -> bool {
    if function.replicas == 0 && model.is_gateway && !model.wrong(Switch::StaysAtZero) {
        function.replicas = 1;
        function.waking = 5;
        return false;
    }
    let waking = function.waking > 0;
    function.waking = function.waking.saturating_sub(1);
    function.replicas == 0 || (waking && model.wrong(Switch::ColdCallsRefused))
}

/// A refusal of the platform's own, and not of the function.
pub(crate) fn own(model: &Model, status: u16, line: String) -> Answer {
    let mut refused = match model.wrong(Switch::CallFailuresWithoutText) {
        true => bytes(status, ""),
        false => refusal(status, line),
    };
    if !model.wrong(Switch::FailuresUnsigned) {
        let says = if model.is_gateway { "gateway" } else { "proxy" };
        set(&mut refused, SAYS, says);
    }
    refused
}

pub(crate) fn given_or_new_id(headers: &HeaderMap) -> String {
    let given = headers.get(CALL_ID).and_then(|value| value.to_str().ok());
    given.map_or_else(new_id, str::to_owned)
}

fn new_id() -> String {
    (0..32).map(|_| fastrand::char('a'..='f')).collect()
}

pub(crate) fn nanoseconds() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_nanos().to_string()
}

pub(crate) fn correlate(model: &Model, answer: &mut Answer, id: &str) {
    match model.switch {
        Some(Switch::NoCallId) => {}
        Some(Switch::CallIdReplaced) => set(answer, CALL_ID, new_id()),
        _ => set(answer, CALL_ID, id),
    }
    let mut time = nanoseconds();
    match model.switch {
        Some(Switch::NoStartTime) => return,
        Some(Switch::StartTimeInSeconds) => time.truncate(10),
        _ => {}
    }
    set(answer, START_TIME, time);
}
