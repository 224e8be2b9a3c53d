//! Prometheus as a process; and what other processes are started with.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
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
        Self::prometheus_on(free_port(), gateway)
    }

    /// The same on a port that was chosen before.
    pub(crate) fn prometheus_on(port: u16, gateway: SocketAddr) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n\
             - {{job_name: gateway, static_configs: [{{targets: ['{gateway}']}}]}}\n"
        );
        let file = directory.path().join("prometheus.yml");
        fs::write(&file, settings).unwrap();
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

    pub(crate) fn start(mut command: Command, port: u16, directory: tempfile::TempDir) -> Self {
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
