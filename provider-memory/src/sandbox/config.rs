//! What the provider decides once for all replicas, and what it says for each.

use std::path::PathBuf;

/// What all replicas of one provider share.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// The program that is re-entered with `sandbox` as its first argument. Its `main` must call
    /// [`reenter`](super::reenter) before it does anything else.
    pub program: PathBuf,
    /// Home directory of the provider's user: hidden, but for what `read_only_dirs` names in it.
    pub home: Option<PathBuf>,
    /// Directories and files no replica may see: the provider's data, the service's own secrets.
    pub hidden: Vec<PathBuf>,
    /// The functions directory and those of the image map: readable at their own paths, not writable.
    pub read_only_dirs: Vec<PathBuf>,
    /// A uid of the kind replicas are given, to try whether one can be taken on.
    pub sample_uid: u32,
    /// What may be tried at all; tests take things away here.
    pub allowed: Allowed,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            home: None,
            hidden: Vec::new(),
            read_only_dirs: Vec::new(),
            sample_uid: 60_000,
            allowed: Allowed::default(),
        }
    }
}

/// Means of isolation that may be tried. Everything, by default.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// Process id namespaces.
    pub pid_namespace: bool,
    /// Mount namespaces.
    pub mount_namespace: bool,
    /// User namespaces, where the others take more rights than the provider has.
    pub user_namespace: bool,
    /// Network namespaces.
    pub network_namespace: bool,
    /// A uid of its own for each function.
    pub own_uid: bool,
    /// Control groups.
    pub cgroups: bool,
}

impl Default for Allowed {
    fn default() -> Self {
        Self {
            pid_namespace: true,
            mount_namespace: true,
            user_namespace: true,
            network_namespace: true,
            own_uid: true,
            cgroups: true,
        }
    }
}

impl Allowed {
    /// Nothing but plain processes.
    pub fn nothing() -> Self {
        Self {
            pid_namespace: false,
            mount_namespace: false,
            user_namespace: false,
            network_namespace: false,
            own_uid: false,
            cgroups: false,
        }
    }
}

/// What one replica runs, and within which limits.
#[derive(Clone, Debug, Default)]
pub struct ReplicaSpec {
    /// Names the replica's cgroup, so it must be unique among the provider's replicas.
    pub id: String,
    /// The file to run; `None` is the provider's own executable, also where the room has no such file.
    pub program: Option<PathBuf>,
    /// Arguments after the program's own name.
    pub argv: Vec<String>,
    /// The program's whole environment.
    pub env: Vec<(String, String)>,
    /// Working directory, as the replica sees it.
    pub cwd: PathBuf,
    /// User and group to run as. Left out of account where
    /// [`Capabilities::own_uid`](super::Capabilities) is absent.
    pub uid: Option<u32>,
    /// Files below `/var/openfaas/secrets`.
    pub secrets: Vec<(String, Vec<u8>)>,
    /// Directory of the machine that the replica has for its `/tmp`, and nobody else, where it has a root of its own.
    /// Without one, `/tmp` is in memory, and counts as memory.
    pub tmp: Option<PathBuf>,
    /// Memory of all processes of the replica together, in bytes.
    pub memory_limit: Option<u64>,
    /// Thousandths of one CPU.
    pub cpu_limit_millis: Option<u64>,
    /// Nothing is writable but the temporary directories.
    pub read_only_root: bool,
    /// Loopback only, and its own: two replicas can listen on the same port.
    pub private_network: bool,
}
