//! Replicas by hand, and why a function has those that it has.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, Request, State};
use axum::response::Response;
use faas_provider::FunctionName;
use faas_provider::client::IF_IDLE_SECONDS;
use serde::Deserialize;

use crate::error::Error;
use crate::gateway::App;
use crate::handlers::system;
use crate::json::Json;
use crate::name;

/// `?namespace=`, where the name does not say it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    namespace: Option<String>,
}

impl Asked {
    fn name(self, text: &str, app: &App) -> Result<FunctionName, Error> {
        let namespace = self.namespace.filter(|namespace| !namespace.is_empty());
        let namespace = namespace.unwrap_or_else(|| app.config.function_namespace.clone());
        name::parse(text, &namespace).ok_or(Error::NoFunction)
    }
}

/// Asks the provider for what is asked for. With `X-If-Idle-Seconds` only if the function was not called for so long, and is
/// not called now; calls that come meanwhile wait for the provider's answer.
pub(crate) async fn scale(
    State(app): State<App>,
    Path(text): Path<String>,
    Query(asked): Query<Asked>,
    request: Request,
) -> Result<Response, Error> {
    let condition = request.headers().get(IF_IDLE_SECONDS);
    let seconds = condition.and_then(|seconds| seconds.to_str().ok()?.trim().parse().ok());
    let name = asked.name(&text, &app)?;
    let known = app.table.borrow().get(name.as_str()).is_some();
    let Some(seconds) = seconds.filter(|_| known) else {
        return system::change(State(app), request).await;
    };
    let idle = app.scaler.if_idle(&name, Duration::from_secs(seconds));
    let Some(mut held) = idle.await else {
        return Err(Error::NotIdle(name));
    };
    let response = system::change(State(Arc::clone(&app)), request).await?;
    if response.status().is_success() {
        held.sleeps();
        app.scaler.settles(&name).await;
    }
    drop(held);
    Ok(response)
}

/// What was decided about a function last, from what, and its last changes.
pub(crate) async fn why(
    State(app): State<App>,
    Path(text): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json, Error> {
    let name = asked.name(&text, &app)?;
    let why = app.scaler.ask_why(&name).await;
    why.map(Json).ok_or(Error::NotFound(name))
}
