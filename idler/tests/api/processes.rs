//! Prometheus and the idler as processes.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A port that nobody has at this moment.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A process that ends with the test; what it writes is kept.
pub(crate) struct Process {
    child: Child,
    pub(crate) port: u16,
    log: PathBuf,
    _directory: tempfile::TempDir,
}

impl Process {
    /// A Prometheus that has seen nothing yet, and looks at this gateway every second.
    pub(crate) fn prometheus(gateway: SocketAddr) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n\
             - {{job_name: gateway, static_configs: [{{targets: ['{gateway}']}}]}}\n"
        );
        let file = directory.path().join("prometheus.yml");
        fs::write(&file, settings).unwrap();
        let port = free_port();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        Self::start(command, port, directory)
    }

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

    fn start(mut command: Command, port: u16, directory: tempfile::TempDir) -> Self {
        let log = directory.path().join("log");
        let file = File::create(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn();
        let name = command.get_program().display().to_string();
        Self {
            child: child.unwrap_or_else(|error| panic!("{name}: {error}")),
            port,
            log,
            _directory: directory,
        }
    }

    /// What it has written so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
