//! One replica, one sandbox: a watchdog process and everything it starts, kept apart from the machine and
//! from other replicas as well as this machine permits, and gone without a trace when it ends or the
//! provider does.
//!
//! ```text
//! provider ──control socket (stdin), lifeline──▶ sandbox ──▶ sandbox-init ──▶ program
//!                                                 outer       pid 1 inside     stdin = listener
//! ```
//!
//! [`Sandbox::detect`] tries once what works here ([`Capabilities`]); [`Sandbox::start`] starts a
//! [`Replica`]. The two processes in between are this executable itself, entered again through
//! [`reenter`], single-threaded. When the control socket ends, for whatever reason, everything inside is
//! killed: by the end of the pid namespace, or by a subreaper that leaves no descendant alive.
//!
//! Inside there is a fresh `/tmp`, `/var/tmp`, `/dev/shm`, `/run` and `/proc`; secrets lie in
//! `/var/openfaas/secrets`; the home directory and the provider's data are hidden; the functions
//! directory is read-only at its own path. No process inside has a capability or can gain one.
//!
//! This module does not know what a function is, does not choose uids or ports, does not read logs, and
//! does not restart anything. It is not a wall against exploits of the kernel.

mod capabilities;
mod cgroup;
mod config;
mod detect;
mod error;
mod inside;
mod keeper;
mod memory;
mod processes;
mod replica;
mod start;
mod wire;

pub use capabilities::{Capabilities, MemoryLimit, Support};
pub use config::{Allowed, ReplicaSpec, SandboxConfig};
pub use error::SandboxError;
pub use inside::reenter;
pub use memory::Used;
pub use replica::{Exit, Replica};
pub use start::Sandbox;

use inside::{OUTER, PROBE};
