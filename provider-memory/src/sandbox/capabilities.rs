//! What this machine gives, and why not where it does not.

use std::fmt;

/// Whether something works here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    /// It was tried and it worked.
    Yes,
    /// It was tried and did not work; what was said.
    No(String),
}

impl Support {
    /// Whether it works.
    pub fn is_yes(&self) -> bool {
        *self == Self::Yes
    }

    /// Why it does not work; empty where it does.
    pub fn reason(&self) -> &str {
        match self {
            Self::Yes => "",
            Self::No(reason) => reason,
        }
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => f.write_str("yes"),
            Self::No(reason) => write!(f, "no ({reason})"),
        }
    }
}

/// Who keeps a replica within its memory limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemoryLimit {
    /// The kernel, by cgroup v2.
    CgroupV2,
    /// The kernel, by cgroup v1.
    CgroupV1,
    /// The provider, which adds up the process tree four times a second; why the kernel does not.
    Polling(String),
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CgroupV2 => f.write_str("cgroup v2"),
            Self::CgroupV1 => f.write_str("cgroup v1"),
            Self::Polling(reason) => write!(f, "every 250ms ({reason})"),
        }
    }
}

/// What replicas get on this machine; each was tried for real.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// Replicas see no processes but their own, and none outlives them.
    pub pid_namespace: Support,
    /// Replicas have their own root directory, `/tmp` and secrets.
    pub mount_namespace: Support,
    /// The namespaces take a user namespace, so every function runs as the provider's user.
    pub in_user_namespace: bool,
    /// Replicas can have a loopback of their own.
    pub network_namespace: Support,
    /// `/proc` shows only the replica.
    pub private_proc: Support,
    /// Each function can run as a user of its own.
    pub own_uid: Support,
    /// Who keeps the memory limit.
    pub memory: MemoryLimit,
    /// A CPU limit limits.
    pub cpu: Support,
    /// The root directory can be read-only.
    pub read_only_root: Support,
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "pid namespace: {}; mount namespace: {}; user namespace: {}; network namespace: {}; \
             own /proc: {}; own uid: {}; memory limit: {}; cpu limit: {}; read-only root: {}",
            self.pid_namespace,
            self.mount_namespace,
            if self.in_user_namespace {
                "used"
            } else {
                "not used"
            },
            self.network_namespace,
            self.private_proc,
            self.own_uid,
            self.memory,
            self.cpu,
            self.read_only_root,
        )
    }
}
