//! The types that cross the wire. They keep the wire's names, so that a search finds them; empty fields are left out,
//! `null` is read as empty, and texts come back byte for byte.

mod secret;
mod status;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use secret::Secret;
pub use status::{FunctionStatus, FunctionUsage};

/// Texts by key, in the order of their keys.
pub type Texts = BTreeMap<String, String>;

/// A type of the wire and the names of its fields, which callers may write in any case.
pub trait Wire: serde::de::DeserializeOwned {
    /// The exact names.
    const FIELDS: &'static [&'static str];
}

/// The wish to run a function: the body of deploy and update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FunctionDeployment {
    /// The function's name.
    pub service: String,
    /// Reference of the image; a provider without images looks a program up by it.
    pub image: String,
    /// Where it goes; empty means the default namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The program that the watchdog starts, variable `fprocess` to it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub env_process: String,
    /// The function's environment.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub env_vars: Texts,
    /// Where it may run, in the provider's own words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<String>,
    /// Names of the secrets that it reads at `/var/openfaas/secrets`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Labels: scaling limits, above all.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub labels: Texts,
    /// Annotations: anything.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub annotations: Texts,
    /// What it may use at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<FunctionResources>,
    /// What is set aside for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<FunctionResources>,
    /// Whether its file system is read-only but for `/tmp`.
    #[serde(skip_serializing_if = "is_false")]
    pub read_only_root_filesystem: bool,
    /// Swarm's network. Deprecated; read by the Swarm provider only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub network: String,
    /// base64 of `user:password` for the image's registry. Read by the Swarm provider only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub registry_auth: String,
}

impl Wire for FunctionDeployment {
    const FIELDS: &'static [&'static str] = &[
        "service",
        "image",
        "namespace",
        "envProcess",
        "envVars",
        "constraints",
        "secrets",
        "labels",
        "annotations",
        "limits",
        "requests",
        "readOnlyRootFilesystem",
        "network",
        "registryAuth",
    ];
}

/// Amounts of memory, CPU and GPUs, as texts: they come back as they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FunctionResources {
    /// Memory: `128Mi`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub memory: String,
    /// CPU: `100m`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cpu: String,
    /// NVIDIA GPUs.
    #[serde(rename = "nvidia.com/gpu", skip_serializing_if = "String::is_empty")]
    pub nvidia_gpu: String,
    /// AMD GPUs.
    #[serde(rename = "amd.com/gpu", skip_serializing_if = "String::is_empty")]
    pub amd_gpu: String,
    /// Intel GPUs.
    #[serde(rename = "intel.com/gpu", skip_serializing_if = "String::is_empty")]
    pub intel_gpu: String,
}

impl FunctionResources {
    pub(crate) const FIELDS: &'static [&'static str] = &[
        "memory",
        "cpu",
        "nvidia.com/gpu",
        "amd.com/gpu",
        "intel.com/gpu",
    ];
}

/// The body of a scale request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleServiceRequest {
    /// The function; may be left out, the path names it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_name: String,
    /// Replicas asked for. Required: a body without it would stop the function.
    pub replicas: u64,
    /// Where the function is; the query may say it too.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

impl Wire for ScaleServiceRequest {
    const FIELDS: &'static [&'static str] = &["serviceName", "replicas", "namespace"];
}

/// The body of a delete request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeleteFunctionRequest {
    /// The function.
    pub function_name: String,
    /// Where the function is; the query may say it too.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

impl Wire for DeleteFunctionRequest {
    const FIELDS: &'static [&'static str] = &["functionName", "namespace"];
}

/// Who a provider is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderInfo {
    /// The provider's name.
    pub provider: String,
    /// What runs the functions underneath.
    pub orchestration: String,
    /// Which build.
    pub version: VersionInfo,
}

impl ProviderInfo {
    /// A provider of a release, by its name and what runs the functions underneath.
    #[must_use]
    pub fn new(provider: &str, orchestration: &str, release: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            orchestration: orchestration.to_owned(),
            version: VersionInfo::of_release(release),
        }
    }
}

/// Which build something is. No field is ever empty but the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionInfo {
    /// The release.
    pub release: String,
    /// The commit.
    pub sha: String,
    /// The commit's subject.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub commit_message: String,
}

impl VersionInfo {
    /// The version of a crate of this project; the commit is known where the build says it.
    #[must_use]
    pub fn of_release(release: &str) -> Self {
        let sha = option_env!("GIT_SHA").unwrap_or("unknown").to_owned();
        Self {
            release: release.to_owned(),
            sha,
            commit_message: String::new(),
        }
    }
}

/// A namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FunctionNamespace {
    /// Its name.
    pub name: String,
    /// As created.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub annotations: Texts,
    /// As created.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub labels: Texts,
}

impl Wire for FunctionNamespace {
    const FIELDS: &'static [&'static str] = &["name", "annotations", "labels"];
}

/// Which log lines are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRequest {
    /// Only those of this replica.
    pub instance: Option<String>,
    /// Only the last so many of each replica; `None` for all that are kept.
    pub tail: Option<usize>,
    /// Whether to go on with the lines to come.
    pub follow: bool,
    /// Only those from this instant on.
    pub since: Option<OffsetDateTime>,
}

/// One line of a function's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogMessage {
    /// The function.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The replica that wrote it.
    pub instance: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub timestamp: OffsetDateTime,
    /// What, without the newline at its end.
    pub text: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_false(value: &bool) -> bool {
    !*value
}
