//! Where an asynchronous call stands, and its cancellation.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use faas_http::auth;
use faas_queue::{CallStatus, InvocationId, Queue};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::error::Error;
use crate::gateway::App;
use crate::json::{Json, answer, instant};

/// What follows `/async-function/`.
type Asked = Result<Path<String>, PathRejection>;

/// By the id of the 202, which nobody can guess: to whoever knows it, with the answer where it is kept. By a call id, which
/// is not a secret: all calls of that id, to whoever may use `/system`.
pub(crate) async fn status(
    State(app): State<App>,
    asked: Asked,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let queue = app.queue()?;
    let id = match named(&app, asked, &headers)? {
        Named::Invocation(id) => {
            let status = of(&**queue, id).await?;
            return Ok(Json(status).into_response());
        }
        Named::Call(id) => id,
        Named::Refused(refusal) => return Ok(*refusal),
    };
    let calls = queue.by_call_id(&id).await?;
    if calls.is_empty() {
        return Err(Error::NoCall(id));
    }
    let calls: Vec<Value> = calls.into_iter().map(seen).collect();
    Ok(Json(calls.into()).into_response())
}

/// 202, whatever there was to cancel: what is cancelled, what has ended and what never was look the same.
pub(crate) async fn cancel(
    State(app): State<App>,
    asked: Asked,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let queue = app.queue()?;
    let id = match named(&app, asked, &headers)? {
        Named::Invocation(id) => {
            queue.cancel(id).await?;
            return Ok(StatusCode::ACCEPTED.into_response());
        }
        Named::Call(id) => id,
        Named::Refused(refusal) => return Ok(*refusal),
    };
    for call in queue.by_call_id(&id).await? {
        if !call.state.is_final() {
            queue.cancel(call.id).await?;
        }
    }
    Ok(StatusCode::ACCEPTED.into_response())
}

/// What a request names.
enum Named {
    /// One call.
    Invocation(InvocationId),
    /// All calls of a caller's name, and whoever asks may.
    Call(String),
    /// Calls of which whoever asks may not be told.
    Refused(Box<Response>),
}

fn named(app: &App, asked: Asked, headers: &HeaderMap) -> Result<Named, Error> {
    let Path(id) = asked.map_err(|_| Error::NoCall("?".to_owned()))?;
    Ok(match id.parse() {
        Ok(id) => Named::Invocation(id),
        Err(_) if app.admits(headers) => Named::Call(id),
        Err(_) => Named::Refused(Box::new(auth::refused())),
    })
}

async fn of(queue: &dyn Queue, id: InvocationId) -> Result<Value, Error> {
    let status = queue.status(id).await?;
    let status = status.ok_or_else(|| Error::NoCall(id.to_string()))?;
    let result = match status.keeps_result && status.state.is_final() {
        true => queue.result(id).await?,
        false => None,
    };
    let mut said = seen(status);
    if let Some(result) = result {
        said["result"] = answer(&result);
    }
    Ok(said)
}

fn seen(status: CallStatus) -> Value {
    json!({
        "id": status.id.to_string(),
        "callId": status.call_id,
        "function": status.function,
        "queue": status.queue,
        "state": status.state,
        "attempts": status.deliveries,
        "failures": status.failures,
        "acceptedAt": instant(status.accepted_ms),
        "dueAt": (!status.state.is_final()).then(|| instant(status.due_ms)),
        "startedAt": status.started_ms.map(instant),
        "endedAt": status.ended_ms.map(instant),
        "lastStatus": status.last_status,
        "reason": status.reason,
    })
}
