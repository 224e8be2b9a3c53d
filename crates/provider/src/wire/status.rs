//! What a provider says of a deployed function.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{FunctionDeployment, FunctionResources, Texts, is_false};

/// A deployed function.
///
/// Counts, labels and annotations are always there: clients dereference them. What was not deployed is left out: clients
/// compare an empty object with an absent one, and call it a difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionStatus {
    /// The function's name.
    pub name: String,
    /// As deployed.
    pub image: String,
    /// Where it is; always set by providers of ours.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// As deployed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub env_process: String,
    /// As deployed.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Texts::is_empty"
    )]
    pub env_vars: Texts,
    /// As deployed.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub constraints: Vec<String>,
    /// As deployed, in the order of the deployment.
    #[serde(
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub secrets: Vec<String>,
    /// As deployed, and `faas_function` with the function's name. Written as an object in any case.
    #[serde(default, serialize_with = "object")]
    pub labels: Option<Texts>,
    /// As deployed. Written as an object in any case.
    #[serde(default, serialize_with = "object")]
    pub annotations: Option<Texts>,
    /// As deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<FunctionResources>,
    /// As deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<FunctionResources>,
    /// As deployed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub read_only_root_filesystem: bool,
    /// Calls since the gateway knows it. Filled in by the gateway.
    #[serde(default, serialize_with = "whole")]
    pub invocation_count: f64,
    /// Replicas asked for.
    #[serde(default)]
    pub replicas: u64,
    /// Replicas that answer.
    #[serde(default)]
    pub available_replicas: u64,
    /// Why replicas are missing, or the last update did not last, in words; empty while all is well. Ours.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub problem: String,
    /// When it was first deployed; kept across scaling and updates.
    #[serde(
        default,
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub created_at: Option<OffsetDateTime>,
    /// What all replicas use together, where it was asked for and is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<FunctionUsage>,
}

impl FunctionStatus {
    /// The status of a deployment that nothing runs yet.
    #[must_use]
    pub fn of(name: &crate::FunctionName, deployment: &FunctionDeployment) -> Self {
        let mut labels = deployment.labels.clone();
        labels.insert("faas_function".to_owned(), name.name().to_owned());
        Self {
            name: name.name().to_owned(),
            image: deployment.image.clone(),
            namespace: name.namespace().to_owned(),
            env_process: deployment.env_process.clone(),
            env_vars: deployment.env_vars.clone(),
            constraints: deployment.constraints.clone(),
            secrets: deployment.secrets.clone(),
            labels: Some(labels),
            annotations: Some(deployment.annotations.clone()),
            limits: deployment.limits.clone(),
            requests: deployment.requests.clone(),
            read_only_root_filesystem: deployment.read_only_root_filesystem,
            invocation_count: 0.0,
            replicas: 0,
            available_replicas: 0,
            problem: String::new(),
            created_at: None,
            usage: None,
        }
    }
}

/// What the replicas of a function use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FunctionUsage {
    /// Thousandths of a CPU since the last measurement.
    #[serde(skip_serializing_if = "is_zero")]
    pub cpu: f64,
    /// Memory in bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub total_memory_bytes: f64,
}

/// A count that the wire calls a number, written without the `.0`.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::trivially_copy_pass_by_ref
)]
fn whole<S: serde::Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(*value as u64)
}

/// Absent texts as an empty object: clients dereference it.
fn object<S: serde::Serializer>(texts: &Option<Texts>, serializer: S) -> Result<S::Ok, S::Error> {
    match texts {
        Some(texts) => texts.serialize(serializer),
        None => Texts::new().serialize(serializer),
    }
}

/// `null`, as some providers write an empty list or map.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}
