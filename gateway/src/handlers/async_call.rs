//! Asynchronous calls: stored now, made later. A 202 is sent when the call is stored, and not before.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use faas_http::PeerAddr;
use faas_http::env;
use faas_http::forward::{REMAINING_MS, for_upstream};
use faas_provider::{FunctionName, FunctionPath};
use faas_queue::policy::{ANNOTATIONS, QUEUE_ANNOTATION};
use faas_queue::{Accepted, Error as QueueError, Header, InvocationId, NewCall, Queue, QueuedCall};
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, TE, TRAILER};
use http::request::Parts;
use http::{StatusCode, Uri};
use time::OffsetDateTime;

use super::call;
use crate::call_id::CallId;
use crate::error::Error;
use crate::gateway::{App, Shared};
use crate::name;
use crate::wish::Wish;

/// The name that a call gets when it is accepted; who knows it may ask after the call.
const INVOCATION_ID: HeaderName = HeaderName::from_static("x-invocation-id");

/// Annotations of a function that travel with its calls.
type Annotations = BTreeMap<String, String>;

/// Answers 202 once the call is on the disk, wherever the queue has its own. A caller who hangs up before that may find it
/// stored all the same.
pub(crate) async fn enqueue(State(app): State<App>, mut request: Request) -> Response {
    let id = CallId::of(request.headers());
    id.write(request.headers_mut());
    let mut response = match accepted(&app, request, &id).await {
        Ok(accepted) => {
            let named = [(INVOCATION_ID, accepted.id.to_string())];
            (StatusCode::ACCEPTED, named).into_response()
        }
        Err(error) => error.into_response(),
    };
    id.write(response.headers_mut());
    response
}

async fn accepted(app: &App, request: Request, id: &CallId) -> Result<Accepted, Error> {
    let queue = app.queue()?;
    let (mut parts, body) = request.into_parts();
    let uri = parts.uri.clone();
    let path = FunctionPath::parse(uri.path(), "/async-function/").ok_or(Error::NoFunction)?;
    let name = name::parse(path.function, &app.config.function_namespace);
    let name = name.ok_or(Error::NoFunction)?;
    let annotations = annotations(app, &name).await?;
    let queue_name = queue_of(&**queue, &annotations)?;
    let wish = Wish::take(&mut parts.headers, app.config.max_message_age)?;
    let limit = app.config.async_max_body_bytes;
    let patience = env::limit(app.config.read_timeout);
    let body = app.bodies.read(body, limit, patience).await?;
    let idempotency = wish.idempotency(name.as_str());
    let new = NewCall {
        call: QueuedCall {
            id: InvocationId::new(),
            call_id: id.as_str().to_owned(),
            queue: queue_name,
            function: name.as_str().to_owned(),
            called: path.function.to_owned(),
            method: parts.method.to_string(),
            host: host(&parts),
            path: path.rest.to_owned(),
            query: uri.query().map(str::to_owned),
            headers: kept(parts),
            body: body.bytes.clone(),
            callback_url: wish.callback_url,
            keep_result: wish.keep_result,
            accepted_ms: now_ms(),
            annotations,
        },
        delay: wish.delay,
        idempotency,
    };
    let is_due = new.delay.is_zero();
    let accepted = store(app, &**queue, new).await?;
    if is_due && !accepted.duplicate && app.config.scale_from_zero {
        app.scaler.called_later(&name);
    }
    Ok(accepted)
}

/// The function's annotations about calls like this one. A function that is known not to exist is an error; where nobody
/// can say, the call is accepted.
async fn annotations(app: &App, name: &FunctionName) -> Result<Annotations, Error> {
    let function = match call::find(app, name).await {
        Ok(function) => function,
        Err(Error::ProviderUnknown { .. }) => return Ok(Annotations::new()),
        Err(error) => return Err(error),
    };
    let all = function.annotations.iter();
    let about_calls = all.filter(|(name, _)| ANNOTATIONS.contains(&name.as_str()));
    Ok(about_calls
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect())
}

fn queue_of(queue: &dyn Queue, annotations: &Annotations) -> Result<String, Error> {
    let named = annotations.get(QUEUE_ANNOTATION).map(|name| name.trim());
    let name = named.filter(|name| !name.is_empty());
    let name = name.unwrap_or(queue.name());
    match queue.has(name) {
        true => Ok(name.to_owned()),
        false => Err(Error::NoQueue(name.to_owned())),
    }
}

async fn store(app: &Shared, queue: &dyn Queue, new: NewCall) -> Result<Accepted, Error> {
    let queue_name = new.call.queue.clone();
    let stored = queue.accept(new).await;
    let result = match &stored {
        Ok(Accepted {
            duplicate: false, ..
        }) => "accepted",
        Ok(_) => "duplicate",
        Err(QueueError::Full(_)) => "queue_full",
        Err(QueueError::FunctionFull(_)) => "function_full",
        Err(QueueError::TooLarge(_)) => "too_large",
        Err(_) => "unavailable",
    };
    app.metrics.queued(&queue_name, result);
    Ok(stored?)
}

fn host(parts: &Parts) -> String {
    let named = |uri: &Uri| uri.authority().map(|host| host.to_string());
    let sent = parts.headers.get(HOST);
    let sent = sent.map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
    named(&parts.uri).or(sent).unwrap_or_default()
}

/// The caller's headers as the function is to see them, without those of this one connection.
fn kept(mut parts: Parts) -> Vec<Header> {
    let peer = parts.extensions.get::<PeerAddr>();
    let peer: Option<IpAddr> = peer.map(|PeerAddr(address)| address.ip());
    let mut headers: HeaderMap = std::mem::take(&mut parts.headers);
    for_upstream(&mut headers, peer, false);
    // The caller's hurry ends with the 202.
    for name in [CONTENT_LENGTH, TE, TRAILER, REMAINING_MS] {
        headers.remove(name);
    }
    let pair = |(name, value): (&HeaderName, &http::HeaderValue)| {
        (name.as_str().to_owned(), value.as_bytes().to_vec())
    };
    headers.iter().map(pair).collect()
}

fn now_ms() -> u64 {
    let nanos = OffsetDateTime::now_utc().unix_timestamp_nanos();
    u64::try_from(nanos / 1_000_000).unwrap_or_default()
}
