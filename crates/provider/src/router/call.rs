//! Calls of functions, for whoever asks the provider instead of the gateway.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use faas_http::forward::Failure;
use http::header::ALLOW;
use http::{Method, StatusCode};

use super::App;
use crate::{
    FunctionName, FunctionPath, Hop, Provider, ProviderError, TIMEOUT_ANNOTATION, labels, refusal,
};

/// The methods that reach a function. Others are 405.
pub const CALL_METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// Forwards a call to one of the function's replicas and streams both ways. A caller who hangs up cancels it.
pub(super) async fn call<P: Provider>(State(app): State<App<P>>, request: Request) -> Response {
    if !CALL_METHODS.contains(request.method()) {
        return method_not_allowed();
    }
    match forward(&app, request).await {
        Ok(response) => response,
        Err(response) => response,
    }
}

async fn forward<P: Provider>(app: &App<P>, request: Request) -> Result<Response<Body>, Response> {
    let uri = request.uri().clone();
    let Some(path) = FunctionPath::parse(uri.path(), "/function/") else {
        return Err(refusal(
            StatusCode::NOT_FOUND,
            Hop::Proxy,
            "the path names no function",
        ));
    };
    let name = FunctionName::parse(path.function, &app.options.default_namespace);
    let said = |error: &ProviderError| refusal(error.status(), Hop::Proxy, &error.to_string());
    let table = app.provider.endpoints().borrow().clone();
    let Some(function) = table.get(name.as_str()).cloned() else {
        let missing = if table.complete {
            ProviderError::NotFound(name)
        } else {
            ProviderError::NotReady(name)
        };
        return Err(said(&missing));
    };
    let target = match uri.query() {
        Some(query) => format!("{}?{query}", path.rest),
        None => path.rest.to_owned(),
    };
    let limit_name = match function.annotations.get(TIMEOUT_ANNOTATION) {
        Some(_) => TIMEOUT_ANNOTATION,
        None => "read_timeout",
    };
    let limit = labels::timeout(&function.annotations, app.options.call_timeout);
    app.options
        .forwarder
        .forward(request, &function.endpoints, &target, limit)
        .await
        .map_err(|failure| match failure {
            Failure::NoUpstream => said(&ProviderError::NotReady(name)),
            failure => {
                tracing::warn!(function = %name, %failure, "a call got no answer");
                refusal(
                    failure.status(),
                    Hop::Proxy,
                    &format!("function {name}: {}", failure.to_caller(limit_name)),
                )
            }
        })
}

fn method_not_allowed() -> Response {
    let allowed = CALL_METHODS
        .iter()
        .map(Method::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    let mut response = refusal(
        StatusCode::METHOD_NOT_ALLOWED,
        Hop::Proxy,
        "functions are not called by this method",
    );
    if let Ok(value) = allowed.try_into() {
        response.headers_mut().insert(ALLOW, value);
    }
    response.into_response()
}
