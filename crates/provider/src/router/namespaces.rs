//! Namespaces.

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::StatusCode;

use super::App;
use super::request::{Sent, json};
use crate::{FunctionNamespace, Provider, ProviderError, is_dns_label};

/// The names of all namespaces, sorted.
pub(super) async fn list<P: Provider>(
    State(app): State<App<P>>,
) -> Result<Response, ProviderError> {
    let mut names: Vec<String> = app
        .provider
        .namespaces()
        .await?
        .into_iter()
        .map(|one| one.name)
        .collect();
    names.sort();
    Ok(json(&names))
}

pub(super) async fn show<P: Provider>(
    State(app): State<App<P>>,
    Path(name): Path<String>,
) -> Result<Response, ProviderError> {
    let found = app
        .provider
        .namespaces()
        .await?
        .into_iter()
        .find(|one| one.name == name);
    found
        .map(|namespace| json(&namespace))
        .ok_or(ProviderError::NamespaceNotFound(name))
}

pub(super) async fn create<P: Provider>(
    State(app): State<App<P>>,
    path: Option<Path<String>>,
    Sent(namespace): Sent<FunctionNamespace>,
) -> Result<StatusCode, ProviderError> {
    let path = path.map(|Path(name)| name);
    let namespace = checked(path.as_deref(), namespace)?;
    app.provider.create_namespace(namespace).await?;
    Ok(StatusCode::CREATED)
}

pub(super) async fn update<P: Provider>(
    State(app): State<App<P>>,
    Path(path): Path<String>,
    Sent(namespace): Sent<FunctionNamespace>,
) -> Result<StatusCode, ProviderError> {
    let namespace = checked(Some(&path), namespace)?;
    app.provider.update_namespace(namespace).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Deletes an empty namespace. The body that some clients send says nothing that the path does not.
pub(super) async fn delete<P: Provider>(
    State(app): State<App<P>>,
    Path(path): Path<String>,
    RawQuery(_): RawQuery,
) -> Result<StatusCode, ProviderError> {
    app.provider.delete_namespace(&path).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn unnamed() -> ProviderError {
    ProviderError::invalid(
        "namespace",
        "the path has no name: use /system/namespace/NAME",
    )
}

/// A namespace whose name is well formed and the path's, and which carries the mark that clients look for.
fn checked(
    path: Option<&str>,
    mut namespace: FunctionNamespace,
) -> Result<FunctionNamespace, ProviderError> {
    if namespace.name.is_empty() {
        namespace.name = path.unwrap_or_default().to_owned();
    }
    if namespace.name.is_empty() {
        return Err(ProviderError::invalid(
            "name",
            "required: the namespace's name",
        ));
    }
    if path.is_some_and(|path| path != namespace.name) {
        return Err(ProviderError::invalid(
            "name",
            "the path names another namespace",
        ));
    }
    if !is_dns_label(&namespace.name) {
        let reason = format!(
            "`{}` is no name of a namespace: use a-z, 0-9 and dashes",
            namespace.name
        );
        return Err(ProviderError::invalid("name", reason));
    }
    let marked = |texts: &crate::Texts| {
        texts
            .get("openfaas")
            .is_some_and(|mark| mark == "1" || mark == "true")
    };
    if !marked(&namespace.labels) && !marked(&namespace.annotations) {
        return Err(ProviderError::invalid(
            "labels.openfaas",
            "required, as a label or an annotation: `1`",
        ));
    }
    Ok(namespace)
}
