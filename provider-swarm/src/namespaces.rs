//! Namespaces: each is a config of the swarm that nobody mounts; its labels say what the namespace is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use faas_provider::{FunctionNamespace, ProviderError};
use serde_json::{Value, json};

use crate::engine::{Config, Engine, Error, filter};
use crate::{names, record, secrets, services};

/// How often an update is made anew when somebody else's came in between.
const ATTEMPTS: u32 = 5;

/// Every namespace but the default one.
pub(crate) async fn list(engine: &Engine) -> Result<Vec<FunctionNamespace>, ProviderError> {
    let all: Vec<Config> = engine
        .get("/configs", &[("filters", &record::ours(None))])
        .await?;
    Ok(all
        .iter()
        .filter_map(|one| record::namespace(&one.spec.labels))
        .collect())
}

/// That a namespace exists.
///
/// # Errors
/// [`ProviderError::NamespaceNotFound`].
pub(crate) async fn have(engine: &Engine, name: &str, default: &str) -> Result<(), ProviderError> {
    match name == default || find(engine, name).await?.is_some() {
        true => Ok(()),
        false => Err(ProviderError::NamespaceNotFound(name.to_owned())),
    }
}

/// The same where it is a field of a body that the caller can mend.
pub(crate) async fn given(engine: &Engine, name: &str, default: &str) -> Result<(), ProviderError> {
    have(engine, name, default)
        .await
        .map_err(|error| match error {
            ProviderError::NamespaceNotFound(name) => {
                let reason = format!("`{name}` does not exist; create it first");
                ProviderError::invalid("namespace", reason)
            }
            other => other,
        })
}

pub(crate) async fn create(
    engine: &Engine,
    namespace: FunctionNamespace,
    default: &str,
) -> Result<(), ProviderError> {
    let exists = || ProviderError::AlreadyExists(format!("namespace {}", namespace.name));
    if namespace.name == default {
        return Err(exists());
    }
    let name = names::namespace(&namespace.name)?;
    let config = json!({
        "Name": name,
        "Labels": record::namespace_labels(&namespace),
        // A config has to hold something.
        "Data": STANDARD.encode(&namespace.name),
    });
    match engine.post("/configs/create", &[], &config, None).await {
        Ok(_) => Ok(()),
        Err(error) if error.status() == Some(409) => match find(engine, &namespace.name).await? {
            Some(_) => Err(exists()),
            None => Err(ProviderError::InUse(format!(
                "the swarm has a config `{name}` that is no namespace of this platform"
            ))),
        },
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn update(
    engine: &Engine,
    namespace: &FunctionNamespace,
    default: &str,
) -> Result<(), ProviderError> {
    let missing = || ProviderError::NamespaceNotFound(namespace.name.clone());
    if namespace.name == default {
        return Err(ProviderError::invalid(
            "name",
            "the default namespace cannot be changed",
        ));
    }
    for _ in 0..ATTEMPTS {
        let (id, mut raw) = find(engine, &namespace.name).await?.ok_or_else(missing)?;
        let version = raw["Version"]["Index"]
            .as_u64()
            .unwrap_or_default()
            .to_string();
        let mut spec = raw["Spec"].take();
        spec["Labels"] = json!(record::namespace_labels(namespace));
        let path = format!("/configs/{id}/update");
        match engine
            .post(&path, &[("version", &version)], &spec, None)
            .await
        {
            Ok(_) => return Ok(()),
            Err(error) if error.is_out_of_sequence() => {}
            Err(error) if error.status() == Some(404) => return Err(missing()),
            Err(error) => return Err(error.into()),
        }
    }
    let words = format!("namespace {} is being changed by others", namespace.name);
    Err(ProviderError::Unavailable(words))
}

/// Deletes a namespace that has neither functions nor secrets.
pub(crate) async fn delete(
    engine: &Engine,
    name: &str,
    default: &str,
) -> Result<(), ProviderError> {
    if name == default {
        return Err(ProviderError::InUse(
            "the default namespace cannot be deleted".into(),
        ));
    }
    let missing = || ProviderError::NamespaceNotFound(name.to_owned());
    let (id, _) = find(engine, name).await?.ok_or_else(missing)?;
    let within = Some((record::NAMESPACE, name));
    let functions = services::list(engine, within).await?.len();
    let secrets = secrets::all(engine, within).await?.len();
    if functions + secrets > 0 {
        return Err(ProviderError::InUse(format!(
            "namespace {name} is not empty: delete its functions and secrets first"
        )));
    }
    match engine.delete(&format!("/configs/{id}")).await {
        Err(Error::Answered { status: 404, .. }) => Err(missing()),
        other => Ok(other?),
    }
}

/// The config of ours that stands for a namespace: its id and itself.
async fn find(engine: &Engine, name: &str) -> Result<Option<(String, Value)>, ProviderError> {
    let Ok(wanted) = names::namespace(name) else {
        return Ok(None);
    };
    let filters = filter(&[("name", &[&wanted])]);
    let all: Vec<Value> = engine.get("/configs", &[("filters", &filters)]).await?;
    for raw in all {
        let read: Config = serde_json::from_value(raw.clone()).map_err(Error::from)?;
        if read.spec.name == wanted && record::is_ours(&read.spec.labels) && raw["Spec"].is_object()
        {
            return Ok(Some((read.id, raw)));
        }
    }
    Ok(None)
}
