//! Secrets: names only on the way out.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::App;
use super::request::{Sent, json, namespace};
use crate::{Provider, ProviderError, Secret, is_secret_name};

/// A secret as lists show it.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    namespace: &'a str,
}

pub(super) async fn list<P: Provider>(
    State(app): State<App<P>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ProviderError> {
    let namespace = namespace(query.as_deref(), "", &app.options.default_namespace)?;
    let mut names = app.provider.secrets(&namespace).await?;
    names.sort();
    let listed: Vec<Listed<'_>> = names
        .iter()
        .map(|name| Listed {
            name,
            namespace: &namespace,
        })
        .collect();
    Ok(json(&listed))
}

pub(super) async fn create<P: Provider>(
    State(app): State<App<P>>,
    RawQuery(query): RawQuery,
    Sent(secret): Sent<Secret>,
) -> Result<StatusCode, ProviderError> {
    let namespace = checked(&app, query.as_deref(), &secret)?;
    valued(&secret)?;
    app.provider.create_secret(&namespace, secret).await?;
    Ok(StatusCode::CREATED)
}

pub(super) async fn update<P: Provider>(
    State(app): State<App<P>>,
    RawQuery(query): RawQuery,
    Sent(secret): Sent<Secret>,
) -> Result<StatusCode, ProviderError> {
    let namespace = checked(&app, query.as_deref(), &secret)?;
    valued(&secret)?;
    app.provider.update_secret(&namespace, secret).await?;
    // Compat: clients take 201 here for a failure.
    Ok(StatusCode::OK)
}

pub(super) async fn delete<P: Provider>(
    State(app): State<App<P>>,
    RawQuery(query): RawQuery,
    Sent(secret): Sent<Secret>,
) -> Result<StatusCode, ProviderError> {
    let namespace = checked(&app, query.as_deref(), &secret)?;
    app.provider.delete_secret(&namespace, &secret.name).await?;
    // Compat: clients take 204 for a failure.
    Ok(StatusCode::OK)
}

fn checked<P>(app: &App<P>, query: Option<&str>, secret: &Secret) -> Result<String, ProviderError> {
    if secret.name.is_empty() {
        return Err(ProviderError::invalid(
            "name",
            "required: the secret's name",
        ));
    }
    if !is_secret_name(&secret.name) {
        let reason = format!(
            "`{}` is no name of a secret: use a-z, 0-9, dashes and dots",
            secret.name
        );
        return Err(ProviderError::invalid("name", reason));
    }
    namespace(query, &secret.namespace, &app.options.default_namespace)
}

/// An empty secret is a mistake more often than a wish.
fn valued(secret: &Secret) -> Result<(), ProviderError> {
    let bytes = secret
        .bytes()
        .map_err(|reason| ProviderError::invalid("rawValue", reason))?;
    if bytes.is_empty() {
        return Err(ProviderError::invalid(
            "value",
            "required: the secret's value, here or in rawValue",
        ));
    }
    Ok(())
}
