//! Finding out, by trying, what this machine gives.

use std::path::PathBuf;

use super::cgroup::{Cgroups, Version};
use super::start::{Sandbox, Shared};
use super::wire::Namespaces;
use super::{
    Allowed, Capabilities, MemoryLimit, OUTER, PROBE, ReplicaSpec, SandboxConfig, Support,
};

/// Any limit a probe stays below.
const PROBE_MEMORY_BYTES: u64 = 256 << 20;
const PROBE_CPU_MILLIS: u64 = 1000;
const FORBIDDEN: &str = "not allowed by the configuration";

impl Sandbox {
    /// Starts probes until it is known what works. Takes some tens of milliseconds.
    pub async fn detect(config: SandboxConfig) -> Self {
        let cgroups = if config.allowed.cgroups {
            Cgroups::find()
        } else {
            Cgroups::none(FORBIDDEN)
        };
        let shared = Shared::new(&config, cgroups);
        Detection { shared, config }.run().await
    }
}

impl Capabilities {
    /// The namespaces of a replica.
    pub(super) fn namespaces(&self, private_network: bool) -> Namespaces {
        Namespaces {
            user: self.in_user_namespace,
            pid: self.pid_namespace.is_yes(),
            mount: self.mount_namespace.is_yes(),
            network: private_network,
        }
    }
}

struct Detection {
    shared: Shared,
    config: SandboxConfig,
}

/// The best namespaces that work, and why the better ones do not.
struct Base {
    namespaces: Namespaces,
    private_proc: Support,
    refused: String,
}

impl Detection {
    async fn run(mut self) -> Sandbox {
        let base = self.base().await;
        let namespaces = base.namespaces;
        let (memory, cpu, network_namespace, own_uid, read_only_root) = tokio::join!(
            self.memory(namespaces),
            self.cpu(namespaces),
            self.network(namespaces),
            self.own_uid(namespaces),
            self.read_only_root(namespaces),
        );
        if let MemoryLimit::Polling(reason) = &memory {
            self.shared.cgroups.memory = Err(reason.clone());
        }
        if let Support::No(reason) = &cpu {
            self.shared.cgroups.cpu = Err(reason.clone());
        }
        let allowed = self.config.allowed;
        let capabilities = Capabilities {
            pid_namespace: base.support(namespaces.pid, allowed.pid_namespace),
            mount_namespace: base.support(namespaces.mount, allowed.mount_namespace),
            in_user_namespace: namespaces.user,
            network_namespace,
            private_proc: base.private_proc,
            own_uid,
            memory,
            cpu,
            read_only_root,
        };
        Sandbox {
            shared: self.shared,
            capabilities,
        }
    }

    /// The first combination that works, richest first; without a user namespace before with one, because
    /// in one all functions are the same user.
    async fn base(&self) -> Base {
        let mut refused = Vec::new();
        for namespaces in combinations(self.config.allowed) {
            match self.probe(namespaces, ReplicaSpec::default()).await {
                Ok(shared_proc) => {
                    let private_proc = shared_proc.map_or(Support::Yes, Support::No);
                    return Base {
                        namespaces,
                        private_proc,
                        refused: first_two(&refused),
                    };
                }
                Err(words) if !refused.contains(&words) => refused.push(words),
                Err(_) => {}
            }
        }
        Base {
            namespaces: Namespaces::default(),
            private_proc: Support::No("no namespaces".to_owned()),
            refused: first_two(&refused),
        }
    }

    /// Starts a program that only shows it was started; what it says of /proc.
    async fn probe(
        &self,
        namespaces: Namespaces,
        spec: ReplicaSpec,
    ) -> Result<Option<String>, String> {
        let dir = self.config.read_only_dirs.iter().find(|dir| dir.is_dir());
        let spec = ReplicaSpec {
            id: format!("probe-{:x}", fastrand::u64(..)),
            argv: vec![OUTER.to_owned(), PROBE.to_owned()],
            cwd: dir.cloned().unwrap_or_else(|| PathBuf::from("/")),
            ..spec
        };
        let replica = self.shared.start(spec, namespaces, None).await;
        let replica = replica.map_err(|error| error.to_string())?;
        let status = replica.wait().await.status;
        match status.success() {
            true => Ok(replica.shared_proc.clone()),
            false => Err(format!(
                "the probe could not read its working directory ({status})"
            )),
        }
    }

    async fn try_spec(&self, namespaces: Namespaces, spec: ReplicaSpec) -> Support {
        match self.probe(namespaces, spec).await {
            Ok(_) => Support::Yes,
            Err(words) => Support::No(words),
        }
    }

    async fn memory(&self, namespaces: Namespaces) -> MemoryLimit {
        let version = match &self.shared.cgroups.memory {
            Ok(place) => place.version,
            Err(reason) => return MemoryLimit::Polling(reason.clone()),
        };
        let memory_limit = Some(PROBE_MEMORY_BYTES);
        let spec = ReplicaSpec {
            memory_limit,
            ..ReplicaSpec::default()
        };
        match (self.try_spec(namespaces, spec).await, version) {
            (Support::No(reason), _) => MemoryLimit::Polling(reason),
            (Support::Yes, Version::V1) => MemoryLimit::CgroupV1,
            (Support::Yes, Version::V2) => MemoryLimit::CgroupV2,
        }
    }

    async fn cpu(&self, namespaces: Namespaces) -> Support {
        if let Err(reason) = &self.shared.cgroups.cpu {
            return Support::No(reason.clone());
        }
        let cpu_limit_millis = Some(PROBE_CPU_MILLIS);
        let spec = ReplicaSpec {
            cpu_limit_millis,
            ..ReplicaSpec::default()
        };
        self.try_spec(namespaces, spec).await
    }

    async fn network(&self, namespaces: Namespaces) -> Support {
        if !self.config.allowed.network_namespace {
            return Support::No(FORBIDDEN.to_owned());
        }
        let namespaces = Namespaces {
            network: true,
            ..namespaces
        };
        self.try_spec(namespaces, ReplicaSpec::default()).await
    }

    async fn own_uid(&self, namespaces: Namespaces) -> Support {
        if !self.config.allowed.own_uid {
            return Support::No(FORBIDDEN.to_owned());
        }
        if namespaces.user || !nix::unistd::geteuid().is_root() {
            return Support::No("only root can give functions other users".to_owned());
        }
        let uid = Some(self.config.sample_uid);
        self.try_spec(
            namespaces,
            ReplicaSpec {
                uid,
                ..ReplicaSpec::default()
            },
        )
        .await
    }

    async fn read_only_root(&self, namespaces: Namespaces) -> Support {
        if !namespaces.mount {
            return Support::No("no mount namespace".to_owned());
        }
        let spec = ReplicaSpec {
            read_only_root: true,
            ..ReplicaSpec::default()
        };
        self.try_spec(namespaces, spec).await
    }
}

impl Base {
    fn support(&self, works: bool, allowed: bool) -> Support {
        match (works, allowed) {
            (true, _) => Support::Yes,
            (false, false) => Support::No(FORBIDDEN.to_owned()),
            (false, true) => Support::No(self.refused.clone()),
        }
    }
}

/// The richest combination's refusals, without and with a user namespace; the others only repeat them.
fn first_two(refused: &[String]) -> String {
    refused[..refused.len().min(2)].join("; ")
}

fn combinations(allowed: Allowed) -> Vec<Namespaces> {
    let rooms = [(true, true), (true, false), (false, true)];
    let users = [false, true];
    let all = rooms.iter().flat_map(|&(pid, mount)| {
        users.map(|user| Namespaces {
            user,
            pid,
            mount,
            network: false,
        })
    });
    all.filter(|tried| {
        (allowed.pid_namespace || !tried.pid)
            && (allowed.mount_namespace || !tried.mount)
            && (allowed.user_namespace || !tried.user)
    })
    .collect()
}
