//! Functions: list, deploy, update, delete, status, scale.

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::StatusCode;

use super::App;
use super::request::{Sent, json, namespace, parameter};
use crate::{
    DeleteFunctionRequest, FunctionDeployment, FunctionName, Provider, ProviderError,
    ScaleServiceRequest, validate,
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
    let namespace = namespace(
        query.as_deref(),
        &request.namespace,
        &app.options.default_namespace,
    )?;
    app.provider
        .delete(&FunctionName::new(&request.function_name, &namespace))
        .await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn status<P: Provider>(
    State(app): State<App<P>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ProviderError> {
    let name = named(&app, &name, query.as_deref(), "")?;
    let usage = parameter(query.as_deref(), "usage")
        .is_some_and(|usage| matches!(usage.as_str(), "1" | "true"));
    Ok(json(&app.provider.status(&name, usage).await?))
}

/// Accepts a new replica count; replicas may still be starting when it answers.
pub(super) async fn scale<P: Provider>(
    State(app): State<App<P>>,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    Sent(request): Sent<ScaleServiceRequest>,
) -> Result<StatusCode, ProviderError> {
    let name = named(&app, &path, query.as_deref(), &request.namespace)?;
    let said = request.service_name.as_str();
    if !said.is_empty() && said != path && said != name.name() {
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

/// The function that a path names: `name`, or `name.namespace`, which must not contradict query and body.
fn named<P>(
    app: &App<P>,
    path: &str,
    query: Option<&str>,
    body: &str,
) -> Result<FunctionName, ProviderError> {
    let default = &app.options.default_namespace;
    match path.rsplit_once('.') {
        Some((name, own)) => Ok(FunctionName::new(
            name,
            &namespace(query, if body.is_empty() { own } else { body }, default)?,
        )),
        None => Ok(FunctionName::new(path, &namespace(query, body, default)?)),
    }
}
