//! One call of a function, from the door to its process and back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use hyper::body::Incoming;
use hyper::header::{ALLOW, AUTHORIZATION, CONNECTION, HOST, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method};

use super::Model;
use super::answer::{Answer, empty, refusal, set};
use super::programs;
use super::state::{DEFAULT, Function, Key};
use crate::switch::Switch;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

impl Call {
    /// What the watchdog runs: the variable wins over the field.
    pub(crate) fn process(&self) -> &str {
        let variable = self.function.entry("envVars", "fprocess");
        variable.unwrap_or_else(|| self.function.text("envProcess"))
    }
}

/// What concerns one connection only (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

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
}

pub(crate) async fn call(
    model: &Arc<Model>,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
) -> Answer {
    let id = given_or_new_id(request.headers());
    let mut answer = match resolve(model, request, peer, &id) {
        Ok((call, body)) => programs::run(model, &call, body).await,
        Err(refused) => refused,
    };
    if model.is_gateway {
        correlate(model, &mut answer, &id);
    }
    answer
}

/// Finds the function, and turns the request into the one that it gets.
fn resolve(
    model: &Model,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
    id: &str,
) -> Result<(Call, Incoming), Answer> {
    if !METHODS.contains(&request.method().as_str()) {
        let mut refused = empty(405);
        set(&mut refused, ALLOW, METHODS.join(", "));
        return Err(refused);
    }
    let (head, body) = request.into_parts();
    let path = head
        .uri
        .path()
        .strip_prefix("/function/")
        .unwrap_or_default();
    let (name, rest) = path
        .find('/')
        .map_or((path, "/"), |slash| path.split_at(slash));
    let (name, namespace) = name.rsplit_once('.').unwrap_or((name, DEFAULT));
    let key = (namespace.to_owned(), name.to_owned());
    let function = admit(model, &key)?;
    let mut headers = head.headers;
    if model.authorization.is_some() && presented(&headers) == model.authorization.as_deref() {
        return Err(refusal(
            500,
            "a function was given the platform's credentials",
        ));
    }
    forward(&mut headers, peer, id);
    let call = Call {
        key,
        function,
        method: head.method,
        path: rest.to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers,
    };
    Ok((call, body))
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
        let status = if model.wrong(Switch::UnknownIs503) {
            503
        } else {
            404
        };
        return Err(own(model, status, format!("function {} not found", key.1)));
    };
    function.calls += 1;
    if function.replicas == 0 && model.is_gateway && !model.wrong(Switch::StaysAtZero) {
        function.replicas = 1;
    }
    let too_soon = function.calls == 1 && model.wrong(Switch::AvailableTooSoon);
    match function.replicas == 0 || too_soon {
        true => Err(own(model, 503, format!("no replica of {} is ready", key.1))),
        false => Ok(function.clone()),
    }
}

/// A refusal of the platform's own, and not of the function.
fn own(model: &Model, status: u16, line: String) -> Answer {
    let mut refused = refusal(status, line);
    let says = if model.is_gateway { "gateway" } else { "proxy" };
    set(&mut refused, SAYS, says);
    refused
}

/// Takes away what was meant for the platform, and says where the call came from.
fn forward(headers: &mut HeaderMap, peer: SocketAddr, id: &str) {
    let named: Vec<_> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    for name in named.iter().map(String::as_str).chain(HOP_BY_HOP) {
        headers.remove(name);
    }
    let mut path: Vec<_> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .map(str::to_owned)
        .collect();
    path.push(peer.ip().to_string());
    put(headers, "x-forwarded-for", &path.join(", "));
    if let Some(host) = headers.get(HOST).cloned() {
        headers.entry("x-forwarded-host").or_insert(host);
    }
    put(headers, "x-call-id", id);
    put(headers, "x-start-time", &nanoseconds());
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    headers.insert(name, HeaderValue::from_str(value).unwrap());
}

fn given_or_new_id(headers: &HeaderMap) -> String {
    let given = headers.get(CALL_ID).and_then(|value| value.to_str().ok());
    let new = || (0..32).map(|_| fastrand::char('a'..='f')).collect();
    given.map_or_else(new, str::to_owned)
}

fn nanoseconds() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_nanos().to_string()
}

fn correlate(model: &Model, answer: &mut Answer, id: &str) {
    if !model.wrong(Switch::NoCallId) {
        set(answer, CALL_ID, id);
    }
    let mut time = nanoseconds();
    if model.wrong(Switch::StartTimeInSeconds) {
        time.truncate(10);
    }
    set(answer, START_TIME, time);
}
