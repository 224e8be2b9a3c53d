//! What we read of the engine's objects. Changes are made to the raw JSON, never to these.

use std::net::IpAddr;

use faas_provider::Texts;
use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What a node says of a task whose image it neither has nor can pull.
pub(crate) const NO_IMAGE: &str = "No such image";

/// A time as the engine writes it; the epoch where it writes something else.
pub(crate) fn rfc3339(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// `null`, as the engine writes an empty list or map.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Service {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) spec: ServiceSpec,
    /// What it was before its last change.
    pub(crate) previous_spec: Option<ServiceSpec>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) update_status: UpdateStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct ServiceSpec {
    pub(crate) name: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) labels: Texts,
    pub(crate) task_template: TaskTemplate,
    pub(crate) mode: Mode,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct TaskTemplate {
    #[serde(deserialize_with = "nullable")]
    pub(crate) container_spec: ContainerSpec,
    /// Grows with every update of ours, so that it tells the tasks of one update from those of another.
    pub(crate) force_update: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct ContainerSpec {
    #[serde(deserialize_with = "nullable")]
    pub(crate) secrets: Vec<SecretReference>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SecretReference {
    #[serde(rename = "SecretID")]
    pub(crate) id: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Mode {
    replicated: Option<Replicated>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Replicated {
    replicas: Option<u64>,
}

impl Service {
    /// Replicas asked for.
    pub(crate) fn replicas(&self) -> u64 {
        let replicated = self.spec.mode.replicated.as_ref();
        replicated.and_then(|mode| mode.replicas).unwrap_or(0)
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct UpdateStatus {
    pub(crate) state: String,
    pub(crate) message: String,
}

impl UpdateStatus {
    /// Whether the last update did not work out.
    pub(crate) fn failed(&self) -> bool {
        self.state.starts_with("rollback") || self.state == "paused"
    }

    /// Whether tasks are still being replaced.
    pub(crate) fn under_way(&self) -> bool {
        matches!(self.state.as_str(), "updating" | "rollback_started")
    }
}

/// One run of one replica.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Task {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    #[serde(rename = "ServiceID")]
    pub(crate) service_id: String,
    pub(crate) slot: u64,
    pub(crate) desired_state: String,
    pub(crate) status: TaskStatus,
    pub(crate) spec: TaskTemplate,
    #[serde(deserialize_with = "nullable")]
    networks_attachments: Vec<Attachment>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct TaskStatus {
    pub(crate) timestamp: String,
    pub(crate) state: String,
    pub(crate) message: String,
    pub(crate) err: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Attachment {
    #[serde(deserialize_with = "nullable")]
    addresses: Vec<String>,
}

impl Task {
    /// Its address on the network it was given: a function has one network.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        let written = self.networks_attachments.first()?.addresses.first()?;
        let address = written.split('/').next()?;
        address.parse().ok()
    }

    /// Whether it runs and is to go on running.
    pub(crate) fn runs(&self) -> bool {
        self.desired_state == "running" && self.status.state == "running"
    }

    /// Whether it ended otherwise than by our wish.
    pub(crate) fn failed(&self) -> bool {
        matches!(
            self.status.state.as_str(),
            "failed" | "rejected" | "orphaned"
        )
    }

    /// Whether it ended without a complaint, and without having been scaled away.
    pub(crate) fn ended_by_itself(&self) -> bool {
        self.status.state == "complete" && self.desired_state != "remove"
    }

    /// Whether it has ended, one way or the other.
    pub(crate) fn ended(&self) -> bool {
        self.failed()
            || matches!(
                self.status.state.as_str(),
                "complete" | "shutdown" | "remove"
            )
    }
}

/// A secret; the engine never gives its value.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Secret {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    pub(crate) spec: Named,
}

/// A config. Ours stand for namespaces.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Config {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    pub(crate) spec: Named,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Named {
    pub(crate) name: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) labels: Texts,
}

/// A network.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Network {
    #[serde(rename = "Id")]
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) driver: String,
    pub(crate) scope: String,
    pub(crate) ingress: bool,
    #[serde(deserialize_with = "nullable")]
    pub(crate) labels: Texts,
}
