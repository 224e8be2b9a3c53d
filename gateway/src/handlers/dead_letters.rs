//! Dead letters and the depth of queues, for operators.

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use faas_queue::{DeadContent, DeadFilter, DeadId, DeadLetter};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Error;
use crate::gateway::{App, Shared};
use crate::json::{self, Json};
use crate::name;

/// Most dead letters of one answer.
const MOST: usize = 1000;
const PAGE: usize = 100;

/// Which dead letters: `?function=&reason=&after=&limit=`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    function: Option<String>,
    reason: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

impl Asked {
    fn filter(self, app: &Shared) -> Result<DeadFilter, Error> {
        let namespace = &app.config.function_namespace;
        let function = match self.function {
            Some(text) => Some(name::parse(&text, namespace).ok_or(Error::NoFunction)?),
            None => None,
        };
        Ok(DeadFilter {
            function: function.map(|name| name.as_str().to_owned()),
            reason: self.reason,
            after: self.after.as_deref().map(id).transpose()?,
            most: self.limit.unwrap_or(PAGE).min(MOST),
        })
    }
}

fn id(text: &str) -> Result<DeadId, Error> {
    text.parse()
        .map_err(|_| Error::NoDeadLetter(text.to_owned()))
}

/// Dead letters, oldest first. The next page is asked for with `after`, the last id of this one.
pub(crate) async fn list(
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Json, Error> {
    let queue = app.queue()?;
    let letters = queue.dead_letters(&asked.filter(&app)?).await?;
    let letters: Vec<Value> = letters.iter().map(seen).collect();
    Ok(Json(letters.into()))
}

/// One dead letter, with the call or callback that it holds.
pub(crate) async fn show(State(app): State<App>, Path(asked): Path<String>) -> Result<Json, Error> {
    let letter = app.queue()?.dead_letter(id(&asked)?).await?;
    let (letter, content) = letter.ok_or(Error::NoDeadLetter(asked))?;
    let mut said = seen(&letter);
    match content {
        DeadContent::Call(call) => said["call"] = json::call(&call),
        DeadContent::Callback(callback) => said["callback"] = json::callback(&callback),
        DeadContent::Unreadable(words) => said["unreadable"] = words.into(),
    }
    Ok(Json(said))
}

/// Puts one back into the queue, as a new call; the answer has the call's new id.
pub(crate) async fn redrive(
    State(app): State<App>,
    Path(asked): Path<String>,
) -> Result<Response, Error> {
    let call = app.queue()?.redrive(id(&asked)?).await?;
    let call = call.ok_or(Error::NoDeadLetter(asked))?;
    let said = json!({"id": call.to_string()});
    Ok((StatusCode::ACCEPTED, Json(said)).into_response())
}

/// Drops one.
pub(crate) async fn purge(
    State(app): State<App>,
    Path(asked): Path<String>,
) -> Result<StatusCode, Error> {
    match app.queue()?.purge(id(&asked)?).await? {
        true => Ok(StatusCode::ACCEPTED),
        false => Err(Error::NoDeadLetter(asked)),
    }
}

/// Puts all back that the filter lets through; those that cannot be read stay.
pub(crate) async fn redrive_all(
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Response, Error> {
    let queue = app.queue()?;
    let mut redriven = 0;
    for id in all(&app, asked).await? {
        match queue.redrive(id).await {
            Ok(call) => redriven += u64::from(call.is_some()),
            Err(faas_queue::Error::Format(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let said = json!({"redriven": redriven});
    Ok((StatusCode::ACCEPTED, Json(said)).into_response())
}

/// Drops all that the filter lets through.
pub(crate) async fn purge_all(
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Response, Error> {
    let queue = app.queue()?;
    let mut purged = 0;
    for id in all(&app, asked).await? {
        purged += u64::from(queue.purge(id).await?);
    }
    let said = json!({"purged": purged});
    Ok((StatusCode::ACCEPTED, Json(said)).into_response())
}

/// Every dead letter that the filter lets through now; those that come meanwhile are not among them.
async fn all(app: &App, asked: Asked) -> Result<Vec<DeadId>, Error> {
    let queue = app.queue()?;
    let mut filter = asked.filter(app)?;
    filter.most = MOST;
    let mut ids = Vec::new();
    loop {
        let page = queue.dead_letters(&filter).await?;
        ids.extend(page.iter().map(|letter| letter.id));
        match page.last() {
            Some(last) if page.len() == MOST => filter.after = Some(last.id),
            _ => return Ok(ids),
        }
    }
}

/// The books, and how many calls of each function wait and run.
pub(crate) async fn queues(State(app): State<App>) -> Result<Json, Error> {
    let queue = app.queue()?;
    let (books, depths) = (queue.books().await?, queue.depths().await?);
    let functions: Vec<Value> = depths
        .iter()
        .map(|depth| {
            json!({
                "function": depth.function,
                "waiting": depth.waiting,
                "running": depth.running,
                "dueAt": depth.due_ms.map(json::instant),
            })
        })
        .collect();
    let drift = books.drift();
    let books = json!({
        "accepted": books.accepted,
        "succeeded": books.succeeded,
        "failed": books.failed,
        "dead": books.dead,
        "cancelled": books.cancelled,
        "waiting": books.waiting,
        "running": books.running,
        "drift": drift,
    });
    Ok(Json(json!({"books": books, "functions": functions})))
}

fn seen(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id.to_string(),
        "function": letter.function,
        "callId": letter.call_id,
        "reason": letter.reason,
        "deadAt": json::instant(letter.dead_ms),
        "failures": letter.failures,
        "lastStatus": letter.last_status,
    })
}
