//! Health, readiness, and the metrics page.

use std::fmt::Write;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use faas_provider::{Hop, refusal};
use http::StatusCode;
use tokio::time::timeout;

use crate::error::Error;
use crate::gateway::App;

/// Longest wait for a dependency's answer; whoever asks for readiness has little patience.
const PATIENCE: Duration = Duration::from_secs(2);

/// On the public port: the provider's health, and 503 while this gateway drains.
pub(crate) async fn relayed(State(app): State<App>, request: Request) -> Result<Response, Error> {
    if app.stop.is_cancelled() {
        return Ok(refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            Hop::Gateway,
            "draining",
        ));
    }
    app.provider.pass(request).await
}

/// On the metrics port: this process lives.
pub(crate) async fn alive() -> &'static str {
    "OK"
}

/// On the metrics port: the state of each dependency, a line each; 503 unless all are well.
pub(crate) async fn ready(State(app): State<App>) -> Response {
    let asked = match timeout(PATIENCE, app.client.info()).await {
        Ok(asked) => asked.map(drop).map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    };
    let states = [
        (
            "gateway",
            if app.stop.is_cancelled() {
                Err("draining".to_owned())
            } else {
                Ok(())
            },
        ),
        ("provider", asked),
        (
            "endpoints",
            if app.table.borrow().complete {
                Ok(())
            } else {
                Err("not known yet".to_owned())
            },
        ),
    ];
    let queue = app.queue.as_ref();
    let queue = queue.map(|queue| ("queue", queue.trouble().map_or(Ok(()), Err)));
    let states: Vec<_> = states.into_iter().chain(queue).collect();
    let mut text = String::new();
    for (name, state) in &states {
        let words = state.as_ref().err().map_or("ok", String::as_str);
        let _ = writeln!(text, "{name}: {words}");
    }
    let all = states.iter().all(|(_, state)| state.is_ok());
    (
        if all {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        },
        text,
    )
        .into_response()
}

/// On the metrics port: the page for Prometheus.
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    let table = app.table.borrow().clone();
    app.metrics.page(&table, || app.scaler.series())
}

/// Where a browser or a curious person lands.
pub(crate) async fn root() -> &'static str {
    "An OpenFaaS-compatible gateway. Functions: /function/NAME. API: /system/functions, /system/info.\n"
}
