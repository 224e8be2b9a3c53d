//! The webhook of AlertManager.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use faas_provider::BODY_LIMIT_BYTES;
use http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::error::Error;
use crate::gateway::App;
use crate::scaling::{Alerts, follow};

/// 200 when every alert was followed or asked for nothing; 500 with a line for each that was not, so that AlertManager
/// tries again.
pub(crate) async fn alert(State(app): State<App>, body: Body) -> Response {
    let body = match Limited::new(body, BODY_LIMIT_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Error::TooLarge(BODY_LIMIT_BYTES).into_response();
        }
        // Compat: these two texts, as they always were.
        Err(_) => return (StatusCode::BAD_REQUEST, "Unable to read alert.").into_response(),
    };
    let Ok(alerts) = serde_json::from_slice::<Alerts>(&body) else {
        return (
            StatusCode::BAD_REQUEST,
            "Unable to parse alert, bad format.",
        )
            .into_response();
    };
    let failures = follow(alerts, &app.client, &app.config.function_namespace).await;
    if failures.is_empty() {
        return StatusCode::OK.into_response();
    }
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        format!("{}\n", failures.join("\n")),
    )
        .into_response()
}
