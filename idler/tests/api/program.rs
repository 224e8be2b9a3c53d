//! The idler as a process.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::processes::{Process, free_port};

impl Process {
    /// The idler, in a hurry: functions are idle after ten seconds, which is the least.
    pub(crate) fn idler(
        gateway: SocketAddr,
        prometheus: u16,
        secrets: &Path,
        arguments: &[&str],
    ) -> Self {
        let port = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_faas-idler"));
        command
            .env_clear()
            .args(arguments)
            .env("gateway_url", format!("http://{gateway}"))
            .env("prometheus_host", "127.0.0.1")
            .env("prometheus_port", prometheus.to_string())
            .env("inactivity_duration", "10s")
            .env("reconcile_interval", "1s")
            .env("secret_mount_path", secrets)
            .env("metrics_port", port.to_string());
        Self::start(command, port, tempfile::tempdir().unwrap())
    }
}
