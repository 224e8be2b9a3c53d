//! Namespaces.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::App;
use super::request::{InPath, Sent, json};
use crate::{FunctionNamespace, Provider, ProviderError, is_dns_label};

/// The names of all namespaces, sorted.
pub(super) async fn list<P: Provider>(
    State(app): State<App<P>>,
) -> Result<Response, ProviderError> {
    let all = all(&app).await?;
    Ok(json(&all.keys().collect::<Vec<_>>()))
}

pub(super) async fn show<P: Provider>(
    State(app): State<App<P>>,
    InPath(name): InPath,
) -> Result<Response, ProviderError> {
    let found = all(&app).await?.remove(&name);
    found
        .map(|namespace| json(&namespace))
        .ok_or(ProviderError::NamespaceNotFound(name))
}

/// All namespaces by name, the default one included.
async fn all<P: Provider>(
    app: &App<P>,
) -> Result<BTreeMap<String, FunctionNamespace>, ProviderError> {
    let default = FunctionNamespace {
        name: app.options.default_namespace.clone(),
        ..FunctionNamespace::default()
    };
    let known = app.provider.namespaces().await?;
    let all = std::iter::once(default).chain(known);
    Ok(all.map(|one| (one.name.clone(), one)).collect())
}

/// Creates a namespace that the body names.
pub(super) async fn create<P: Provider>(
    State(app): State<App<P>>,
    Sent(namespace): Sent<FunctionNamespace>,
) -> Result<StatusCode, ProviderError> {
    app.provider
        .create_namespace(checked(None, namespace)?)
        .await?;
    Ok(StatusCode::CREATED)
}

/// Creates a namespace that the path names; the body may name it too.
pub(super) async fn create_named<P: Provider>(
    State(app): State<App<P>>,
    InPath(path): InPath,
    Sent(namespace): Sent<FunctionNamespace>,
) -> Result<StatusCode, ProviderError> {
    app.provider
        .create_namespace(checked(Some(&path), namespace)?)
        .await?;
    Ok(StatusCode::CREATED)
}

pub(super) async fn update<P: Provider>(
    State(app): State<App<P>>,
    InPath(path): InPath,
    Sent(namespace): Sent<FunctionNamespace>,
) -> Result<StatusCode, ProviderError> {
    let namespace = checked(Some(&path), namespace)?;
    app.provider.update_namespace(namespace).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Deletes an empty namespace. The body that some clients send says nothing that the path does not.
pub(super) async fn delete<P: Provider>(
    State(app): State<App<P>>,
    InPath(path): InPath,
) -> Result<StatusCode, ProviderError> {
    if !is_dns_label(&path) {
        return Err(ProviderError::NamespaceNotFound(path));
    }
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
