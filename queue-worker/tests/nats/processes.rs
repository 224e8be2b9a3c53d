//! Processes that can be killed. The worker is its own program; the gateway is this test's program, started again as one.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use faas_gateway::{Addresses, Config, Gateway};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::soon;

/// A process that ends with the test, however that ends.
pub(crate) struct Process(Child);

impl Process {
    /// The worker's program, with these variables.
    pub(crate) fn worker(variables: &[(&str, String)]) -> Self {
        let program = env!("CARGO_BIN_EXE_queue-worker");
        Self::start(Command::new(program), variables)
    }

    /// A program of this workspace, as it was built last, with these variables.
    pub(crate) fn of_workspace(program: &str, variables: &[(&str, String)]) -> Self {
        let path = Path::new(env!("CARGO_BIN_EXE_queue-worker")).with_file_name(program);
        assert!(
            path.exists(),
            "{program} is not built: cargo build --workspace --all-targets"
        );
        Self::start(Command::new(path), variables)
    }

    /// A gateway, with these variables.
    pub(crate) fn gateway(variables: &[(&str, String)]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "processes::be_a_gateway"]);
        Self::start(command, variables)
    }

    fn start(mut command: Command, variables: &[(&str, String)]) -> Self {
        let variables = variables.iter().map(|(name, value)| (name, value));
        let process = command
            .env_clear()
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(match std::env::var_os("SHOW_LOGS") {
                Some(_) => Stdio::inherit(),
                None => Stdio::null(),
            })
            .spawn();
        Self(process.unwrap())
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Stands still from one moment to the next, and does not know.
    pub(crate) fn sleep(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub(crate) fn wake(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.0.id().try_into().unwrap());
        kill(pid, signal).unwrap();
    }

    /// What it holds in memory, in kilobytes.
    pub(crate) fn resident_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.unwrap().split_whitespace().nth(1);
        number.unwrap().parse().unwrap()
    }

    /// SIGTERM, and how it ended.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        soon("the process to end", async {
            loop {
                if let Some(status) = self.0.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// No test: what [`Process::gateway`] starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it is a process of other tests, and never ends"]
async fn be_a_gateway() {
    let config = Config::from_env().unwrap();
    let on = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let addresses = Addresses {
        public: on(config.port),
        metrics: on(config.metrics_port),
    };
    let gateway = Gateway::bind(config, addresses).await.unwrap();
    gateway.run(std::future::pending()).await.unwrap();
}
