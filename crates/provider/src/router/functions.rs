//! Functions: list, deploy, update, delete, status, scale.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;

use super::App;
use super::request::{InPath, Sent, function, json, namespace, parameter, possible};
use crate::{
    DeleteFunctionRequest, FunctionDeployment, FunctionName, Provider, ProviderError,
    ScaleServiceRequest, is_dns_label, validate,
};

/// The functions of a namespace, sorted by name.
pub(super) async fn list<P: Provider>(
    State(app): State<App<P>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ProviderError> {
    let namespace = namespace(query.as_deref(), "", &app.options.default_namespace)?;
    let mut functions = app.provider.list(&namespace).await?;
    functions.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(json(&functions))
}

/// Deploys a new function; its replicas may still be starting when this answers.
pub(super) async fn deploy<P: Provider>(
    State(app): State<App<P>>,
    RawQuery(query): RawQuery,
    Sent(wish): Sent<FunctionDeployment>,
) -> Result<StatusCode, ProviderError> {
    let name = checked(&app, query.as_deref(), &wish)?;
    app.provider.deploy(&name, wish).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Replaces a function. Exactly 404 where there is none: clients then deploy it.
pub(super) async fn update<P: Provider>(
    State(app): State<App<P>>,
    RawQuery(query): RawQuery,
    Sent(wish): Sent<FunctionDeployment>,
) -> Result<StatusCode, ProviderError> {
    let name = checked(&app, query.as_deref(), &wish)?;
    app.provider.update(&name, wish).await?;
    Ok(StatusCode::ACCEPTED)
}

fn checked<P>(
    app: &App<P>,
    query: Option<&str>,
    wish: &FunctionDeployment,
) -> Result<FunctionName, ProviderError> {
    let namespace = namespace(query, &wish.namespace, &app.options.default_namespace)?;
    validate::deployment(wish, app.options.max_replicas)?;
    Ok(FunctionName::new(&wish.service, &namespace))
}

/// Deletes a function, which is gone when this answers.
pub(super) async fn delete<P: Provider>(
    State(app): State<App<P>>,
    RawQuery(query): RawQuery,
    Sent(request): Sent<DeleteFunctionRequest>,
) -> Result<StatusCode, ProviderError> {
    if request.function_name.is_empty() {
        return Err(ProviderError::invalid(
            "functionName",
            "required: the function to delete",
        ));
    }
    let default = &app.options.default_namespace;
    let written = &request.function_name;
    let name = function(written, query.as_deref(), &request.namespace, default)?;
    if !is_dns_label(name.name()) {
        let reason = format!("`{written}` is no function name");
        return Err(ProviderError::invalid("functionName", reason));
    }
    app.provider.delete(&name).await?;
    Ok(StatusCode::ACCEPTED)
}

/// One function; `usage=1` asks for what it uses.
pub(super) async fn status<P: Provider>(
    State(app): State<App<P>>,
    InPath(path): InPath,
    RawQuery(query): RawQuery,
) -> Result<Response, ProviderError> {
    let default = &app.options.default_namespace;
    let name = possible(function(&path, query.as_deref(), "", default)?)?;
    let usage = parameter(query.as_deref(), "usage")
        .is_some_and(|usage| matches!(usage.as_str(), "1" | "true"));
    Ok(json(&app.provider.status(&name, usage).await?))
}

/// Accepts a new replica count; replicas may still be starting when it answers.
pub(super) async fn scale<P: Provider>(
    State(app): State<App<P>>,
    InPath(path): InPath,
    RawQuery(query): RawQuery,
    Sent(request): Sent<ScaleServiceRequest>,
) -> Result<StatusCode, ProviderError> {
    let default = &app.options.default_namespace;
    let name = function(&path, query.as_deref(), &request.namespace, default)?;
    let name = possible(name)?;
    let said = request.service_name.as_str();
    if !["", &path, name.name(), name.as_str()].contains(&said) {
        let reason = format!("the path says `{path}`, the body says `{said}`");
        return Err(ProviderError::invalid("serviceName", reason));
    }
    let max = app.options.max_replicas;
    if request.replicas > max {
        return Err(ProviderError::invalid(
            "replicas",
            format!("{} is above max_replicas={max}", request.replicas),
        ));
    }
    app.provider.scale(&name, request.replicas).await?;
    Ok(StatusCode::ACCEPTED)
}
