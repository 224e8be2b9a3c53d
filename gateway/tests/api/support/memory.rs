//! The real provider-memory, in this process; its functions are processes of the built `provider-memory` program.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use faas_http::auth::{Credentials, Pair};
use faas_provider_memory::sandbox::Allowed;
use faas_provider_memory::{Config, MemoryService};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{ANY_PORT, soon};

pub(crate) struct Memory {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl Memory {
    pub(crate) async fn start() -> Self {
        Self::at(ANY_PORT, None, None).await
    }

    pub(crate) async fn with_password(pair: Pair) -> Self {
        Self::at(ANY_PORT, None, Some(pair)).await
    }

    pub(crate) async fn at(
        address: SocketAddr,
        data_dir: Option<&Path>,
        pair: Option<Pair>,
    ) -> Self {
        let config = Config {
            data_dir: data_dir.map(Path::to_owned),
            ..Config::embedded().unwrap()
        };
        let credentials = pair.map(Credentials::fixed);
        let program = program("provider-memory", "faas-provider-memory");
        let allowed = Allowed::default();
        let service = MemoryService::bind_as(config, address, credentials, allowed, Some(program));
        let service = service.await.unwrap();
        let address = service.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let ended = service.run(async { drop(stopped.await) }).await;
            ended.unwrap();
        });
        Self {
            address,
            stop: Some(stop),
            running,
        }
    }

    /// Stops it, functions and all.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        soon("the provider to stop", self.running).await.unwrap();
    }
}

/// A program of this workspace, beside the test's executable; built where it is missing.
fn program(name: &str, package: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let path = profile.join(name);
    BUILT.get_or_init(|| {
        if !path.is_file() {
            build(name, package, profile);
        }
    });
    assert!(path.is_file(), "{} was not built", path.display());
    path
}

fn build(name: &str, package: &str, profile: &Path) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "-p", package, "--bin", name]);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let target = profile.parent().unwrap();
    let built = cargo.arg("--target-dir").arg(target).status().unwrap();
    assert!(built.success(), "building {name} failed");
}
