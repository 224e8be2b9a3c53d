//! A deployment as the specification of a service.
//!
//! Everything is written into what is there already, so that what an operator has set by hand (a log driver, a health
//! check) outlives an update.

use std::collections::BTreeMap;
use std::time::Duration;

use faas_http::duration;
use faas_provider::{FunctionDeployment, FunctionName, FunctionResources, ProviderError, quantity};
use serde_json::{Map, Value, json};

use crate::record;

/// Where functions find their secrets.
const SECRET_DIRECTORY: &str = "/var/openfaas/secrets";
/// What stays writable where the root is read-only.
const WRITABLE: &str = "/tmp";
/// Least memory that the swarm limits anything to.
const LEAST_MEMORY_BYTES: u64 = 4 * 1024 * 1024;
/// Pause before a task that ended is started again. There is no limit to how often: a function whose database was away
/// for an hour comes back with it.
const RESTART_DELAY: Duration = Duration::from_secs(2);
/// How long a new task is watched during an update: one that ends in this time undoes the update.
const UPDATE_MONITOR: Duration = Duration::from_secs(5);
/// How long a watchdog drains where nothing says otherwise, and what it may take beyond.
const DEFAULT_DRAIN: Duration = Duration::from_secs(30);
const DRAIN_MARGIN: Duration = Duration::from_secs(5);

/// A secret as a service refers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MountedSecret {
    /// The engine's id of the version.
    pub(crate) id: String,
    /// The swarm's name of the version.
    pub(crate) swarm_name: String,
    /// The name that the function knows.
    pub(crate) name: String,
}

impl MountedSecret {
    /// The reference in a container's specification. Every user in the container can read the file, as always.
    pub(crate) fn reference(&self) -> Value {
        json!({
            "SecretID": self.id,
            "SecretName": self.swarm_name,
            "File": {"Name": format!("{SECRET_DIRECTORY}/{}", self.name), "UID": "0", "GID": "0", "Mode": 0o444},
        })
    }
}

/// A deployment with everything looked up that had to be looked up.
pub(crate) struct Plan<'a> {
    pub(crate) name: &'a FunctionName,
    pub(crate) service: &'a str,
    pub(crate) deployment: &'a FunctionDeployment,
    pub(crate) network: &'a str,
    pub(crate) secrets: &'a [MountedSecret],
}

impl Plan<'_> {
    /// Writes the plan into a specification, which may be empty. Tasks are replaced even if nothing else changes: a tag
    /// may name a new image.
    pub(crate) fn write(&self, spec: &mut Map<String, Value>) -> Result<(), ProviderError> {
        let resources = resources(self.deployment)?;
        constraints(&self.deployment.constraints)?;
        spec.insert("Name".into(), json!(self.service));
        let labels = record::service_labels(self.name, self.deployment);
        spec.insert("Labels".into(), json!(labels));
        within(spec, "EndpointSpec", |endpoint| {
            endpoint.insert("Mode".into(), json!("dnsrr"));
        });
        spec.insert(
            "UpdateConfig".into(),
            json!({
                "Parallelism": 1, "Order": "start-first", "FailureAction": "rollback",
                "Monitor": nanoseconds(UPDATE_MONITOR), "MaxFailureRatio": 0,
            }),
        );
        spec.insert(
            "RollbackConfig".into(),
            json!({
                "Parallelism": 1, "Order": "start-first", "FailureAction": "pause",
                "Monitor": nanoseconds(UPDATE_MONITOR), "MaxFailureRatio": 0,
            }),
        );
        within(spec, "TaskTemplate", |template| {
            within(template, "ContainerSpec", |container| {
                self.container(container);
            });
            template.insert("Resources".into(), resources);
            template.insert(
                "RestartPolicy".into(),
                json!({
                    "Condition": "any", "Delay": nanoseconds(RESTART_DELAY),
                }),
            );
            within(template, "Placement", |placement| {
                placement.insert("Constraints".into(), json!(self.placement()));
            });
            template.insert("Networks".into(), json!([{"Target": self.network}]));
            let updates = template
                .get("ForceUpdate")
                .and_then(Value::as_u64)
                .unwrap_or(0);
            template.insert("ForceUpdate".into(), json!(updates + 1));
        });
        Ok(())
    }

    fn placement(&self) -> Vec<&str> {
        let given = &self.deployment.constraints;
        match given.is_empty() {
            true => vec!["node.platform.os==linux"],
            false => given.iter().map(String::as_str).collect(),
        }
    }

    fn container(&self, container: &mut Map<String, Value>) {
        let wish = self.deployment;
        let secrets: Vec<Value> = self.secrets.iter().map(MountedSecret::reference).collect();
        let mut set = |key: &str, value: Value| container.insert(key.into(), value);
        set("Image", json!(wish.image));
        set("Labels", json!(record::container_labels(wish)));
        set("Env", json!(environment(wish)));
        set("Secrets", json!(secrets));
        set("ReadOnly", json!(wish.read_only_root_filesystem));
        set("StopGracePeriod", json!(nanoseconds(stop_grace(wish))));
        let mut mounts = match container.remove("Mounts") {
            Some(Value::Array(mounts)) => mounts,
            _ => Vec::new(),
        };
        mounts.retain(|mount| mount.get("Target").is_none_or(|target| target != WRITABLE));
        if wish.read_only_root_filesystem {
            mounts.push(
                json!({"Type": "tmpfs", "Target": WRITABLE, "TmpfsOptions": {"Mode": 0o1777}}),
            );
        }
        container.insert("Mounts".into(), json!(mounts));
    }
}

/// Changes an object within an object; what is there and no object is replaced.
pub(crate) fn within(
    parent: &mut Map<String, Value>,
    key: &str,
    change: impl FnOnce(&mut Map<String, Value>),
) {
    let mut child = match parent.remove(key) {
        Some(Value::Object(child)) => child,
        _ => Map::new(),
    };
    change(&mut child);
    parent.insert(key.to_owned(), Value::Object(child));
}

/// Sets the replicas of a service's specification.
pub(crate) fn set_replicas(spec: &mut Map<String, Value>, replicas: u64) {
    within(spec, "Mode", |mode| {
        within(mode, "Replicated", |replicated| {
            replicated.insert("Replicas".into(), json!(replicas));
        });
    });
}

/// `NAME=value`, sorted, so that the same deployment makes the same tasks; a variable `fprocess` wins over `envProcess`. The
/// swarm reads values as templates; ours are meant as they are.
fn environment(wish: &FunctionDeployment) -> Vec<String> {
    let mut variables = BTreeMap::new();
    if !wish.env_process.is_empty() {
        variables.insert("fprocess", &wish.env_process);
    }
    variables.extend(
        wish.env_vars
            .iter()
            .map(|(name, value)| (name.as_str(), value)),
    );
    let line = |(name, value): (&&str, &&String)| format!("{name}={value}");
    variables
        .iter()
        .map(line)
        .map(|line| line.replace("{{", r#"{{"{{"}}"#))
        .collect()
}

/// How long a task may drain before it is killed: as long as its watchdog may take, which is told by `grace_period`, or
/// else by its own timeouts. A limit, not a wait: most are gone at once.
fn stop_grace(wish: &FunctionDeployment) -> Duration {
    let read = |text: Option<&String>| text.and_then(|text| duration::parse(text).ok());
    let variable = |name: &str| read(wish.env_vars.get(name));
    let told = read(wish.annotations.get("grace_period")).or_else(|| variable("grace_period"));
    told.unwrap_or_else(|| {
        let drain = variable("write_timeout").unwrap_or(DEFAULT_DRAIN);
        let notice = variable("healthcheck_interval").unwrap_or(drain);
        drain.saturating_add(notice).saturating_add(DRAIN_MARGIN)
    })
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn resources(wish: &FunctionDeployment) -> Result<Value, ProviderError> {
    let limits = amounts(wish.limits.as_ref(), "limits")?;
    let reservations = amounts(wish.requests.as_ref(), "requests")?;
    Ok(json!({"Limits": limits, "Reservations": reservations}))
}

fn amounts(resources: Option<&FunctionResources>, field: &str) -> Result<Value, ProviderError> {
    let mut amounts = Map::new();
    let Some(wish) = resources else {
        return Ok(json!(amounts));
    };
    let wrong =
        |name: &str, reason: String| ProviderError::invalid(format!("{field}.{name}"), reason);
    for (name, text) in [
        ("nvidia.com/gpu", &wish.nvidia_gpu),
        ("amd.com/gpu", &wish.amd_gpu),
        ("intel.com/gpu", &wish.intel_gpu),
    ] {
        if !text.is_empty() && text != "0" {
            return Err(wrong(
                name,
                "GPUs are not supported on Swarm; use constraints".into(),
            ));
        }
    }
    if !wish.memory.is_empty() {
        let bytes =
            quantity::memory_bytes(&wish.memory).map_err(|reason| wrong("memory", reason))?;
        if bytes < LEAST_MEMORY_BYTES {
            return Err(wrong(
                "memory",
                format!("`{}` is below the 4Mi that Swarm asks for", wish.memory),
            ));
        }
        amounts.insert(
            "MemoryBytes".into(),
            json!(i64::try_from(bytes).unwrap_or(i64::MAX)),
        );
    }
    if !wish.cpu.is_empty() {
        let millis = quantity::cpu_millis(&wish.cpu).map_err(|reason| wrong("cpu", reason))?;
        let nano = i64::try_from(millis.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
        amounts.insert("NanoCPUs".into(), json!(nano));
    }
    Ok(json!(amounts))
}

/// That every constraint has the form that the swarm knows; whether a node satisfies it shows later, in the status.
fn constraints(constraints: &[String]) -> Result<(), ProviderError> {
    let known = |key: &str| {
        let fixed = [
            "node.id",
            "node.hostname",
            "node.role",
            "node.platform.os",
            "node.platform.arch",
            "node.ip",
        ];
        let key = key.to_ascii_lowercase();
        let labelled = |prefix: &str| {
            key.strip_prefix(prefix)
                .is_some_and(|label| !label.is_empty())
        };
        fixed.contains(&key.as_str()) || labelled("node.labels.") || labelled("engine.labels.")
    };
    for constraint in constraints {
        let parts = constraint
            .split_once("==")
            .or_else(|| constraint.split_once("!="));
        let good = parts.is_some_and(|(key, value)| known(key.trim()) && !value.trim().is_empty());
        if !good {
            let reason = format!(
                "`{constraint}` is no constraint of Swarm: write `node.labels.NAME==VALUE`, `node.role!=manager` and the like"
            );
            return Err(ProviderError::invalid("constraints", reason));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
