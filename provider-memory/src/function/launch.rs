//! What it takes to start a replica: the program, its environment, its limits, its port.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use faas_provider::{FunctionDeployment, FunctionName, ProviderError, Texts, quantity};

use crate::image_map::{ImageMap, Program};
use crate::records::FunctionRecord;
use crate::sandbox::{Capabilities, ReplicaSpec, Support};

/// Where a program is looked for that names no path, unless the function says otherwise.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Stands for a free port in `fprocess` and `upstream_url`.
const PORT: &str = "$PORT";
/// The variables that hold the upstream of a watchdog in mode `http`.
const UPSTREAM_VARIABLES: [&str; 2] = ["upstream_url", "http_upstream_url"];

/// A deployment with everything looked up, so that replicas of it can be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Launch {
    environment: Texts,
    directory: PathBuf,
    secrets: Vec<String>,
    uid: u32,
    memory_limit: Option<u64>,
    cpu_limit_millis: Option<u64>,
    read_only_root: bool,
    private_network: bool,
}

impl Launch {
    /// Looks everything up.
    ///
    /// # Errors
    /// [`ProviderError::Invalid`] when there is no program for it here, or when this machine cannot give what it needs.
    pub(crate) fn prepare(
        name: &FunctionName,
        record: &FunctionRecord,
        images: &ImageMap,
        functions_dir: &Path,
        machine: &Capabilities,
    ) -> Result<Self, ProviderError> {
        let deployment = &record.deployment;
        let mapped = images.program(&deployment.image);
        let environment = environment(name, deployment, mapped)?;
        can_have_secrets(deployment, machine)?;
        let amount = |text: Option<&String>, parse: fn(&str) -> Result<u64, String>| {
            text.filter(|text| !text.is_empty())
                .and_then(|text| parse(text).ok())
        };
        let limits = deployment.limits.as_ref();
        Ok(Self {
            private_network: private_network(
                &environment,
                record.replicas,
                &machine.network_namespace,
            )?,
            environment,
            directory: mapped
                .and_then(|program| program.directory.clone())
                .unwrap_or_else(|| functions_dir.to_owned()),
            secrets: deployment.secrets.clone(),
            uid: record.uid,
            memory_limit: amount(limits.map(|limits| &limits.memory), quantity::memory_bytes),
            cpu_limit_millis: amount(limits.map(|limits| &limits.cpu), quantity::cpu_millis),
            read_only_root: deployment.read_only_root_filesystem,
        })
    }

    /// Where its program starts.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Names of the secrets to be read when a replica starts.
    pub(crate) fn secrets(&self) -> &[String] {
        &self.secrets
    }

    /// The memory limit in bytes.
    pub(crate) fn memory_limit(&self) -> Option<u64> {
        self.memory_limit
    }

    /// A variable of the function's environment.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    /// What the sandbox needs for one replica.
    pub(crate) fn spec(
        &self,
        id: String,
        secrets: Vec<(String, Vec<u8>)>,
    ) -> std::io::Result<ReplicaSpec> {
        let port = if self.environment.values().any(|value| value.contains(PORT)) {
            free_port()?.to_string()
        } else {
            String::new()
        };
        let with_port = |name: &str, value: &str| {
            let takes_port = matches!(name, "fprocess" | "function_process")
                || UPSTREAM_VARIABLES.contains(&name);
            if takes_port {
                value.replace(PORT, &port)
            } else {
                value.to_owned()
            }
        };
        let arguments = [
            "fwatchdog",
            "--inherit-listener",
            "--metrics-port",
            "0",
            "--healthcheck-interval",
            "0",
        ];
        Ok(ReplicaSpec {
            id,
            program: None,
            argv: arguments.map(str::to_owned).to_vec(),
            env: self
                .environment
                .iter()
                .map(|(name, value)| (name.clone(), with_port(name, value)))
                .collect(),
            cwd: self.directory.clone(),
            uid: Some(self.uid),
            secrets,
            tmp: None,
            memory_limit: self.memory_limit,
            cpu_limit_millis: self.cpu_limit_millis,
            read_only_root: self.read_only_root,
            private_network: self.private_network,
        })
    }
}

/// A listener for one replica, on a free port.
pub(crate) fn listener(address: IpAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::new(address, 0))
}

/// A port that nobody has right now.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The function's own environment: what the image would have set, then what was deployed, which wins; and where neither says
/// otherwise, where programs are and who the function is, which `jwt_auth` has to know.
fn environment(
    name: &FunctionName,
    deployment: &FunctionDeployment,
    mapped: Option<&Program>,
) -> Result<Texts, ProviderError> {
    let mut variables = mapped
        .map(|program| program.environment.clone())
        .unwrap_or_default();
    if let Some(program) = mapped {
        variables.insert("fprocess".to_owned(), program.command.clone());
    }
    if !deployment.env_process.is_empty() {
        variables.insert("fprocess".to_owned(), deployment.env_process.clone());
    }
    variables.extend(deployment.env_vars.clone());
    if variables
        .get("fprocess")
        .or(variables.get("function_process"))
        .is_none_or(|program| program.trim().is_empty())
    {
        let reason = format!(
            "`{}` has no program here; set envProcess to the program to run, or map the image in image_map",
            deployment.image
        );
        return Err(ProviderError::invalid("image", reason));
    }
    for (variable, value) in [
        ("PATH", DEFAULT_PATH),
        ("OPENFAAS_NAME", name.name()),
        ("OPENFAAS_NAMESPACE", name.namespace()),
    ] {
        variables
            .entry(variable.to_owned())
            .or_insert_with(|| value.to_owned());
    }
    Ok(variables)
}

fn can_have_secrets(
    deployment: &FunctionDeployment,
    machine: &Capabilities,
) -> Result<(), ProviderError> {
    match &machine.mount_namespace {
        Support::No(reason) if !deployment.secrets.is_empty() => {
            let reason = format!(
                "secrets need a mount namespace, which this machine does not give ({reason})"
            );
            Err(ProviderError::invalid("secrets", reason))
        }
        _ => Ok(()),
    }
}

/// Whether replicas need a loopback of their own: their upstream has a port that is not theirs to choose.
fn private_network(
    variables: &Texts,
    replicas: u64,
    network: &Support,
) -> Result<bool, ProviderError> {
    let pinned = variables.get("mode").is_some_and(|mode| mode == "http")
        && UPSTREAM_VARIABLES
            .iter()
            .any(|name| variables.get(*name).is_some_and(|url| !url.contains(PORT)));
    match network {
        _ if !pinned => Ok(false),
        Support::Yes => Ok(true),
        Support::No(_) if replicas <= 1 => Ok(false),
        Support::No(reason) => {
            let reason = format!(
                "the pinned port of upstream_url allows one replica only on this machine ({reason}); write {PORT} instead of the port"
            );
            Err(ProviderError::invalid("envVars.upstream_url", reason))
        }
    }
}

/// The name by which a replica is told apart in its function's log.
pub(crate) fn replica_id(name: &FunctionName, number: u64) -> String {
    format!("{}-{number}", name.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::MemoryLimit;
    use time::OffsetDateTime;

    fn machine(support: Support) -> Capabilities {
        Capabilities {
            pid_namespace: support.clone(),
            mount_namespace: support.clone(),
            in_user_namespace: false,
            network_namespace: support.clone(),
            private_proc: support.clone(),
            own_uid: support.clone(),
            memory: MemoryLimit::CgroupV2,
            cpu: support.clone(),
            read_only_root: support,
        }
    }

    fn launch(
        variables: &[(&str, &str)],
        replicas: u64,
        support: Support,
    ) -> Result<Launch, String> {
        let pairs = variables.iter();
        let record = FunctionRecord {
            deployment: FunctionDeployment {
                service: "f".to_owned(),
                env_process: "serve $PORT".to_owned(),
                env_vars: pairs
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect(),
                ..FunctionDeployment::default()
            },
            replicas,
            created_at: OffsetDateTime::UNIX_EPOCH,
            uid: 20_000,
        };
        let machine = machine(support);
        let directory = Path::new("/srv");
        let name = FunctionName::new("f", "ns");
        Launch::prepare(&name, &record, &ImageMap::default(), directory, &machine)
            .map_err(|error| error.to_string())
    }

    fn refused() -> Support {
        Support::No("the kernel says no".to_owned())
    }

    #[test]
    fn a_pinned_upstream_port_takes_a_network_of_its_own_or_one_replica() {
        let pinned = ("upstream_url", "http://127.0.0.1:5000");
        let free = ("upstream_url", "http://127.0.0.1:$PORT");
        let older = ("http_upstream_url", "http://127.0.0.1:5000");
        let http = ("mode", "http");
        for (variables, replicas, support, private) in [
            (vec![http, pinned], 3, Support::Yes, Some(true)),
            (vec![http, older], 1, Support::Yes, Some(true)),
            (vec![http, free], 3, Support::Yes, Some(false)),
            (vec![http, free], 3, refused(), Some(false)),
            (vec![http, pinned], 1, refused(), Some(false)),
            (vec![http, pinned], 0, refused(), Some(false)),
            (vec![http, pinned], 2, refused(), None),
            // Another mode has no upstream.
            (vec![pinned], 2, refused(), Some(false)),
            (vec![http], 2, refused(), Some(false)),
        ] {
            let got = launch(&variables, replicas, support);
            let got = got.map(|launch| launch.private_network).ok();
            assert_eq!(got, private, "{variables:?}, {replicas} replicas");
        }
        let error = launch(&[http, pinned], 2, refused()).unwrap_err();
        let expected = "envVars.upstream_url: the pinned port of upstream_url allows one replica only on this \
                        machine (the kernel says no); write $PORT instead of the port";
        assert_eq!(error, expected);
    }

    #[test]
    fn every_replica_gets_one_free_port_where_it_is_asked_for_and_nowhere_else() {
        let variables = [
            ("upstream_url", "http://127.0.0.1:$PORT/x"),
            ("NOTE", "costs $PORT"),
        ];
        let launch = launch(&variables, 1, Support::Yes).unwrap();
        let spec = |id: &str| launch.spec(id.to_owned(), Vec::new()).unwrap();
        let value = |spec: &ReplicaSpec, name: &str| {
            let mut pairs = spec.env.iter();
            let (_, value) = pairs.find(|(known, _)| known == name).unwrap();
            value.clone()
        };
        let first = spec("f-1");
        let port = value(&first, "fprocess").replace("serve ", "");
        assert!(port.parse::<u16>().is_ok_and(|port| port > 0), "{port}");
        assert_eq!(
            value(&first, "upstream_url"),
            format!("http://127.0.0.1:{port}/x")
        );
        assert_eq!(value(&first, "NOTE"), "costs $PORT");
        assert_eq!(first.cwd, Path::new("/srv"));
    }

    #[test]
    fn nothing_of_ours_gets_into_the_environment_but_who_the_function_is() {
        let launch = launch(&[("A", "b"), ("PATH", "/x")], 1, Support::Yes).unwrap();
        let spec = launch.spec("f-1".to_owned(), Vec::new()).unwrap();
        let own: Vec<_> = spec
            .env
            .iter()
            .filter(|(name, _)| name != "fprocess")
            .collect();
        let expected = [
            ("A", "b"),
            ("OPENFAAS_NAME", "f"),
            ("OPENFAAS_NAMESPACE", "ns"),
            ("PATH", "/x"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(own, expected.iter().collect::<Vec<_>>());
    }
}
