//! Removing versions of secrets that nothing needs any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use faas_provider::ProviderError;
use tokio::sync::Notify;

use super::{Version, all, uses};
use crate::engine::{Engine, Service};
use crate::services;

/// First and longest pause between two looks, while there is something to remove.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Looks for old versions at the start and after every update, until none is left. Versions are kept while an update that
/// could be undone goes back to them.
pub(crate) struct Sweeper {
    engine: Arc<Engine>,
    wanted: Notify,
}

impl Sweeper {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self {
            engine,
            wanted: Notify::new(),
        }
    }

    /// Has it look again.
    pub(crate) fn wake(&self) {
        self.wanted.notify_one();
    }

    /// Sweeps for ever.
    pub(crate) async fn run(&self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let left = match self.sweep().await {
                Ok(left) => left,
                Err(error) => {
                    tracing::debug!(%error, "old versions of secrets cannot be looked for now");
                    true
                }
            };
            if !left {
                self.wanted.notified().await;
                pause = FIRST_PAUSE;
                continue;
            }
            tokio::select! {
                () = self.wanted.notified() => pause = FIRST_PAUSE,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }

    /// One look; whether old versions are left.
    async fn sweep(&self) -> Result<bool, ProviderError> {
        let old = outdated(all(&self.engine, None).await?);
        if old.is_empty() {
            return Ok(false);
        }
        let services = services::list(&self.engine, None).await?;
        let mut left = false;
        for version in old {
            if services.iter().any(|service| needs(service, &version.id)) {
                left = true;
                continue;
            }
            let removed = self
                .engine
                .delete(&format!("/secrets/{}", version.id))
                .await;
            match removed {
                Ok(()) => tracing::info!(
                    secret = version.name,
                    version = version.number,
                    "an old version is removed"
                ),
                Err(_) => left = true,
            }
        }
        Ok(left)
    }
}

/// All versions but the latest of each secret.
fn outdated(versions: Vec<Version>) -> Vec<Version> {
    let mut latest = BTreeMap::new();
    for one in &versions {
        let number = latest
            .entry((one.namespace.clone(), one.name.clone()))
            .or_insert(0);
        *number = one.number.max(*number);
    }
    let is_old =
        |one: &Version| latest.get(&(one.namespace.clone(), one.name.clone())) > Some(&one.number);
    versions.into_iter().filter(is_old).collect()
}

/// Whether a service has the secret, or may go back to it.
fn needs(service: &Service, id: &str) -> bool {
    let before = || {
        let secrets = service.previous_spec.iter();
        let mut secrets = secrets.flat_map(|spec| &spec.task_template.container_spec.secrets);
        secrets.any(|reference| reference.id == id)
    };
    uses(service, |used| used == id) || (service.update_status.under_way() && before())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn version(name: &str, namespace: &str, number: u64) -> Version {
        Version {
            id: format!("{namespace}/{name}/{number}"),
            swarm_name: String::new(),
            namespace: namespace.into(),
            name: name.into(),
            number,
        }
    }

    #[test]
    fn the_latest_version_of_each_secret_stays() {
        let versions = vec![
            version("a", "x", 2),
            version("a", "x", 1),
            version("a", "y", 1),
            version("b", "x", 10),
            version("b", "x", 9),
        ];
        let old: Vec<String> = outdated(versions).into_iter().map(|one| one.id).collect();
        assert_eq!(old, ["x/a/1", "x/b/9"]);
    }

    #[test]
    fn an_update_under_way_can_go_back() {
        let spec =
            |id: &str| json!({"TaskTemplate": {"ContainerSpec": {"Secrets": [{"SecretID": id}]}}});
        let service = |state: &str| -> Service {
            serde_json::from_value(json!({"Spec": spec("2"), "PreviousSpec": spec("1"), "UpdateStatus": {"State": state}})).unwrap()
        };
        assert!(needs(&service("updating"), "1"));
        assert!(!needs(&service("completed"), "1"));
        assert!(needs(&service("completed"), "2"));
    }
}
