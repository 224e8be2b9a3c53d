//! The `/system` API: most of it is the provider's, and passed on.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use faas_provider::{FunctionName, VersionInfo};
use futures_util::StreamExt;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::gateway::App;

/// Passed on as it is, answered as the provider answers.
pub(crate) async fn pass(State(app): State<App>, request: Request) -> Result<Response, Error> {
    app.provider.pass(request).await
}

/// As [`pass`], for what changes functions: the next call sees the change.
pub(crate) async fn change(State(app): State<App>, request: Request) -> Result<Response, Error> {
    let response = app.provider.pass(request).await?;
    if response.status().is_success() {
        app.endpoints.changed().await;
    }
    Ok(response)
}

/// The provider's list, with the number of calls that this gateway has counted. Fields that we do not know stay.
pub(crate) async fn list(State(app): State<App>, request: Request) -> Result<Response, Error> {
    enrich(&app, request, |functions: &mut Option<Vec<Function>>| {
        // Compat: a provider with no functions may say `null`.
        for function in functions.get_or_insert_default() {
            count(&app, function);
        }
    })
    .await
}

/// The provider's status of a function, with the number of its calls.
pub(crate) async fn status(State(app): State<App>, request: Request) -> Result<Response, Error> {
    enrich(&app, request, |function| count(&app, function)).await
}

/// A function as a provider describes it, in whatever fields.
type Function = Map<String, Value>;

/// Asks the provider, and changes what it says.
async fn enrich<T: DeserializeOwned + Serialize>(
    app: &App,
    request: Request,
    change: impl FnOnce(&mut T),
) -> Result<Response, Error> {
    let (mut parts, body) = app.provider.pass_and_read(request).await?.into_parts();
    if parts.status != StatusCode::OK {
        return Ok(Response::from_parts(parts, Body::from(body)));
    }
    let garbage = |error: serde_json::Error| Error::ProviderGarbage(error.to_string());
    let mut said = serde_json::from_slice(&body).map_err(garbage)?;
    change(&mut said);
    let text = serde_json::to_vec(&said).map_err(garbage)?;
    parts.headers.remove(CONTENT_LENGTH);
    let json = HeaderValue::from_static("application/json");
    parts.headers.insert(CONTENT_TYPE, json);
    Ok(Response::from_parts(parts, Body::from(text)))
}

fn count(app: &App, function: &mut Function) {
    let text = |key| {
        function
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let namespace = match text("namespace") {
        "" => &app.config.function_namespace,
        namespace => namespace,
    };
    let name = FunctionName::new(text("name"), namespace);
    let calls = app.metrics.function(&name).total();
    function.insert("invocationCount".to_owned(), calls.into());
    // Clients expect counts, also where a provider leaves out zeros.
    for key in ["replicas", "availableReplicas"] {
        function.entry(key).or_insert_with(|| 0.into());
    }
}

/// Who provider and gateway are. A provider that cannot say leaves its part `null`: `/healthz` and `/readyz` are there to
/// tell that it is down.
pub(crate) async fn info(State(app): State<App>, request: Request) -> Response {
    let provider = match app.provider.pass_and_read(request).await {
        Ok(answer) if answer.status() == StatusCode::OK => {
            serde_json::from_slice(answer.body()).unwrap_or(Value::Null)
        }
        _ => Value::Null,
    };
    let version = VersionInfo::of_release(env!("CARGO_PKG_VERSION"));
    let info = json!({ "provider": provider, "version": version, "arch": arch() });
    ([(CONTENT_TYPE, "application/json")], info.to_string()).into_response()
}

/// The platform by the name that container builders use.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The log of a function as it comes, without limit while it is followed; ends cleanly when the gateway stops.
pub(crate) async fn logs(State(app): State<App>, request: Request) -> Result<Response, Error> {
    let response = app.logs.pass(request).await?;
    let stop = app.stop.clone();
    Ok(response
        .map(|body| Body::from_stream(body.into_data_stream().take_until(stop.cancelled_owned()))))
}

/// Routes of this API that have no answer here.
pub(crate) async fn telemetry() -> Error {
    Error::Unsupported("telemetry is for commercial providers; there is none here")
}
