//! The webhook of AlertManager.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use faas_http::env;
use http::StatusCode;
use serde_json::{Map, Value};

use crate::body;
use crate::error::Error;
use crate::gateway::App;
use crate::scaling::{Alerts, follow};

/// 200 when every alert was followed or asked for nothing; 500 with a line for each that was not, so that AlertManager
/// tries again.
pub(crate) async fn alert(State(app): State<App>, body: Body) -> Response {
    let body = match body::read(body, env::limit(app.config.read_timeout)).await {
        Ok(body) => body,
        // Compat: these two texts, as they always were.
        Err(Error::BodyBroken) => {
            return (StatusCode::BAD_REQUEST, "Unable to read alert.").into_response();
        }
        Err(error) => return error.into_response(),
    };
    let Some(alerts) = parse(&body) else {
        let words = "Unable to parse alert, bad format.";
        return (StatusCode::BAD_REQUEST, words).into_response();
    };
    let namespace = &app.config.function_namespace;
    let failures = follow(alerts, &app.scaler, &app.client, namespace).await;
    if failures.is_empty() {
        return StatusCode::OK.into_response();
    }
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        format!("{}\n", failures.join("\n")),
    )
        .into_response()
}

fn parse(body: &[u8]) -> Option<Alerts> {
    // By way of an object: a list would pass for a struct too.
    let object: Map<String, Value> = serde_json::from_slice(body).ok()?;
    serde_json::from_value(object.into()).ok()
}
