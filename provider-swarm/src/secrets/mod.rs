//! Secrets. Swarm never changes a secret's value, so a new value is a new version under a name of its own; functions see
//! it at the old path. A version that nothing needs any more is removed by [`sweep`].

mod sweep;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use faas_provider::{ProviderError, Secret as Wish};
use serde_json::{Map, Value, json};

use crate::engine::{Engine, Error, Secret, Service};
use crate::spec::{MountedSecret, within};
use crate::{names, record, services};
pub(crate) use sweep::Sweeper;

/// Swarm takes less than this.
const VALUE_LIMIT_BYTES: usize = 500 * 1024;
/// How often a version is numbered anew when somebody else took the number.
const ATTEMPTS: u64 = 5;

/// One version of a secret of ours.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) id: String,
    swarm_name: String,
    namespace: String,
    name: String,
    number: u64,
}

impl Version {
    fn read(secret: Secret) -> Option<Self> {
        let labels = &secret.spec.labels;
        if !record::is_ours(labels) {
            return None;
        }
        Some(Self {
            namespace: labels.get(record::NAMESPACE)?.clone(),
            name: labels.get(record::SECRET)?.clone(),
            number: labels.get(record::VERSION)?.parse().ok()?,
            id: secret.id,
            swarm_name: secret.spec.name,
        })
    }
}

/// Every version of every secret of ours, or of those with one more label.
pub(crate) async fn all(
    engine: &Engine,
    also: Option<(&str, &str)>,
) -> Result<Vec<Version>, ProviderError> {
    let all: Vec<Secret> = engine
        .get("/secrets", &[("filters", &record::ours(also))])
        .await?;
    Ok(all.into_iter().filter_map(Version::read).collect())
}

/// The versions of one secret, oldest first.
async fn versions(
    engine: &Engine,
    namespace: &str,
    name: &str,
) -> Result<Vec<Version>, ProviderError> {
    let mut found = all(engine, Some((record::SECRET, name))).await?;
    found.retain(|one| one.namespace == namespace);
    found.sort_by_key(|one| one.number);
    Ok(found)
}

/// The names of the secrets in a namespace.
pub(crate) async fn list(engine: &Engine, namespace: &str) -> Result<Vec<String>, ProviderError> {
    let found = all(engine, Some((record::NAMESPACE, namespace))).await?;
    let names: BTreeSet<String> = found.into_iter().map(|one| one.name).collect();
    Ok(names.into_iter().collect())
}

/// The secrets that a deployment names, each in its latest version. Only those that were made here can be named.
///
/// # Errors
/// 400 for one that does not exist.
pub(crate) async fn mounted(
    engine: &Engine,
    namespace: &str,
    wanted: &[String],
) -> Result<Vec<MountedSecret>, ProviderError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut latest = BTreeMap::<String, Version>::new();
    for one in all(engine, Some((record::NAMESPACE, namespace))).await? {
        let known = latest
            .entry(one.name.clone())
            .or_insert_with(|| one.clone());
        if known.number < one.number {
            *known = one;
        }
    }
    let mount = |name: &String| match latest.get(name) {
        Some(version) => Ok(MountedSecret {
            id: version.id.clone(),
            swarm_name: version.swarm_name.clone(),
            name: name.clone(),
        }),
        None => Err(ProviderError::invalid(
            "secrets",
            format!("`{name}` does not exist in namespace {namespace}; create it first"),
        )),
    };
    wanted.iter().map(mount).collect()
}

pub(crate) async fn create(
    engine: &Engine,
    namespace: &str,
    wish: &Wish,
    default: &str,
) -> Result<(), ProviderError> {
    let exists = || ProviderError::AlreadyExists(format!("secret {}", wish.name));
    if !versions(engine, namespace, &wish.name).await?.is_empty() {
        return Err(exists());
    }
    match keep(engine, namespace, wish, 1, default).await? {
        Some(_) => Ok(()),
        None if versions(engine, namespace, &wish.name).await?.is_empty() => {
            let name = names::secret(namespace, &wish.name, 1, default)?;
            Err(ProviderError::InUse(format!(
                "the swarm has a secret `{name}` that is not of this platform"
            )))
        }
        None => Err(exists()),
    }
}

/// Keeps a version; `None` where the swarm's name for it is taken.
async fn keep(
    engine: &Engine,
    namespace: &str,
    wish: &Wish,
    number: u64,
    default: &str,
) -> Result<Option<MountedSecret>, ProviderError> {
    let bytes = wish
        .bytes()
        .map_err(|reason| ProviderError::invalid("rawValue", reason))?;
    if bytes.len() >= VALUE_LIMIT_BYTES {
        return Err(ProviderError::invalid(
            "value",
            "Swarm takes less than 500 KiB",
        ));
    }
    let swarm_name = names::secret(namespace, &wish.name, number, default)?;
    let body = json!({
        "Name": swarm_name,
        "Labels": {
            record::OWNER: record::US,
            record::NAMESPACE: namespace,
            record::SECRET: wish.name,
            record::VERSION: number.to_string(),
        },
        "Data": STANDARD.encode(bytes),
    });
    match engine.post("/secrets/create", &[], &body, None).await {
        Ok(answer) => Ok(Some(MountedSecret {
            id: answer["ID"].as_str().unwrap_or_default().to_owned(),
            swarm_name,
            name: wish.name.clone(),
        })),
        Err(error) if error.status() == Some(409) => Ok(None),
        Err(error) => Err(services::refused(error)),
    }
}

/// Keeps a new version and has every function that uses the secret start anew with it, one replica after the other.
pub(crate) async fn update(
    engine: &Engine,
    namespace: &str,
    wish: &Wish,
    default: &str,
) -> Result<(), ProviderError> {
    for _ in 0..ATTEMPTS {
        let old = versions(engine, namespace, &wish.name).await?;
        let Some(latest) = old.last() else {
            return Err(missing(namespace, &wish.name));
        };
        let kept = keep(engine, namespace, wish, latest.number + 1, default).await?;
        let Some(new) = kept else { continue };
        let old: BTreeSet<&str> = old.iter().map(|one| one.id.as_str()).collect();
        return point_at(engine, namespace, &old, &new).await;
    }
    Err(ProviderError::Unavailable(format!(
        "secret {} is being changed by others",
        wish.name
    )))
}

async fn point_at(
    engine: &Engine,
    namespace: &str,
    old: &BTreeSet<&str>,
    new: &MountedSecret,
) -> Result<(), ProviderError> {
    for service in services::list(engine, Some((record::NAMESPACE, namespace))).await? {
        if !uses(&service, |id| old.contains(id)) {
            continue;
        }
        let Some(name) = record::function(&service) else {
            continue;
        };
        let changed = services::change(engine, &service.spec.name, &name, None, |spec, _| {
            within(spec, "TaskTemplate", |template| {
                within(template, "ContainerSpec", |container| {
                    replace(container, old, new);
                });
            });
            Ok(())
        });
        match changed.await {
            // Deleted meanwhile.
            Ok(()) | Err(ProviderError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn replace(container: &mut Map<String, Value>, old: &BTreeSet<&str>, new: &MountedSecret) {
    let Some(Value::Array(references)) = container.get_mut("Secrets") else {
        return;
    };
    for reference in references {
        if reference["SecretID"]
            .as_str()
            .is_some_and(|id| old.contains(id))
        {
            *reference = new.reference();
        }
    }
}

/// Whether a service's tasks are given a secret of these.
fn uses(service: &Service, wanted: impl Fn(&str) -> bool) -> bool {
    let secrets = &service.spec.task_template.container_spec.secrets;
    secrets.iter().any(|reference| wanted(&reference.id))
}

/// Deletes a secret that no function uses, in all its versions.
pub(crate) async fn delete(
    engine: &Engine,
    namespace: &str,
    name: &str,
) -> Result<(), ProviderError> {
    let versions = versions(engine, namespace, name).await?;
    if versions.is_empty() {
        return Err(missing(namespace, name));
    }
    let all = services::list(engine, Some((record::NAMESPACE, namespace))).await?;
    let users = all
        .iter()
        .filter(|one| uses(one, |id| versions.iter().any(|version| version.id == id)));
    let users: Vec<&str> = users.map(|service| service.spec.name.as_str()).collect();
    if !users.is_empty() {
        let words = format!("secret {name} is in use by {}", users.join(", "));
        return Err(ProviderError::InUse(words));
    }
    for version in versions {
        match engine.delete(&format!("/secrets/{}", version.id)).await {
            Ok(()) | Err(Error::Answered { status: 404, .. }) => {}
            // Somebody else's service has it, or one of ours since a moment ago.
            Err(Error::Answered {
                status: 400,
                message,
            }) => return Err(ProviderError::InUse(message)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn missing(namespace: &str, name: &str) -> ProviderError {
    ProviderError::SecretNotFound {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
    }
}
