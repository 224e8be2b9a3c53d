//! Why a function has the replicas that it has.

use axum::extract::{Path, Query, State};
use faas_provider::FunctionName;
use serde::Deserialize;

use crate::error::Error;
use crate::gateway::App;
use crate::json::Json;
use crate::name;

/// `?namespace=`, where the name does not say it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    namespace: Option<String>,
}

/// What was decided about a function last, from what, and its last changes.
pub(crate) async fn why(
    State(app): State<App>,
    Path(text): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Json, Error> {
    let namespace = asked.namespace.filter(|namespace| !namespace.is_empty());
    let namespace = namespace.unwrap_or_else(|| app.config.function_namespace.clone());
    let name: FunctionName = name::parse(&text, &namespace).ok_or(Error::NoFunction)?;
    let why = app.scaler.why(&name);
    why.map(Json).ok_or(Error::NotFound(name))
}
