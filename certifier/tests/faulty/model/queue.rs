//! `/async-function/NAME`: the call is taken, made later, and its result posted to a callback.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE};
use url::Url;

use super::answer::{Answer, Body, empty, refusal, set, whole};
use super::call::{self, Call};
use super::{Model, programs};
use crate::switch::Switch;

const CALLBACK: &str = "x-callback-url";

/// A callback that does not answer is given up.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) async fn enqueue(
    model: &Arc<Model>,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
) -> Answer {
    if !["POST", "PUT", "PATCH"].contains(&request.method().as_str()) {
        let mut refused = empty(405);
        set(&mut refused, ALLOW, "POST, PUT, PATCH");
        return refused;
    }
    let id = call::given_or_new_id(request.headers());
    let mut answer = match take(model, request, peer, &id).await {
        Ok(()) if model.wrong(Switch::AsyncIs200) => empty(200),
        Ok(()) => empty(202),
        Err(refused) => refused,
    };
    call::correlate(model, &mut answer, &id);
    answer
}

async fn take(
    model: &Arc<Model>,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
    id: &str,
) -> Result<(), Answer> {
    let callback = callback(model, &request)?;
    let (mut call, body) = call::resolve(model, request, "/async-function/", peer, id)?;
    let body = body
        .collect()
        .await
        .map_err(|_| refusal(400, "the body broke off"))?;
    let (model, id) = (model.clone(), id.to_owned());
    let waits = model.wrong(Switch::AsyncWaits);
    let made = async move {
        if model.wrong(Switch::AsyncLost) {
            return;
        }
        let body = body.to_bytes();
        if model.wrong(Switch::AsyncTwice) {
            programs::run(&model, &mut call, whole(body.clone())).await;
        }
        let answer = programs::run(&model, &mut call, whole(body)).await;
        model.count(&call.key, answer.status().as_u16());
        if let Some(callback) = callback {
            post(&model, callback, &call, &id, answer).await;
        }
    };
    match waits {
        true => made.await,
        false => drop(tokio::spawn(made)),
    }
    Ok(())
}

fn callback(model: &Model, request: &hyper::Request<Incoming>) -> Result<Option<Url>, Answer> {
    let Some(given) = request.headers().get(CALLBACK) else {
        return Ok(None);
    };
    let url = given.to_str().ok().and_then(|url| Url::parse(url).ok());
    if url.is_none() && model.wrong(Switch::BadCallbackTaken) {
        return Ok(None);
    }
    match url.filter(|url| url.scheme() == "http") {
        Some(url) => Ok(Some(url)),
        None => Err(refusal(400, "X-Callback-Url: not an http URL")),
    }
}

async fn post(model: &Model, url: Url, call: &Call, id: &str, answer: Answer) {
    let (head, body) = answer.into_parts();
    let body: Body = body;
    let Ok(body) = body.collect().await else {
        return;
    };
    let (namespace, name) = &call.key;
    let wrong = |switch| model.wrong(switch);
    if wrong(Switch::CallbackLost) {
        return;
    }
    let mut request = reqwest::Client::new().post(url).timeout(PATIENCE);
    if !wrong(Switch::CallbackWithoutId) {
        request = request.header("x-call-id", id);
    }
    if !wrong(Switch::CallbackWithoutName) {
        request = request.header("x-function-name", format!("{name}.{namespace}"));
    }
    if !wrong(Switch::CallbackWithoutStatus) {
        request = request.header("x-function-status", head.status.as_u16());
    }
    if !wrong(Switch::CallbackWithoutDuration) {
        request = request.header("x-duration-seconds", "0.001000");
    }
    if !wrong(Switch::CallbackWithoutBody) {
        request = request.body(body.to_bytes());
    }
    if let Some(kind) = head.headers.get(CONTENT_TYPE) {
        request = request.header(CONTENT_TYPE, kind);
    }
    // Whoever asked for it may be gone.
    let _ = request.send().await;
}
