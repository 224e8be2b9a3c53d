//! The provider as a service: started, served, drained.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use faas_http::auth::{self, Credentials};
use faas_http::forward::Forwarder;
use faas_http::{Server, env};
use faas_provider::{EndpointTable, Options, Publisher, router};
use prometheus::Registry;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Config;
use crate::function::{Paused, Scratch, Tools};
use crate::image_map::ImageMap;
use crate::provider::MemoryProvider;
use crate::records::{FIRST_UID, Ledger, Records};
use crate::sandbox::{self, Allowed, Capabilities, Sandbox, SandboxConfig, Support};
use crate::state_file::{self, StateFile};

/// The path on which a watchdog says whether its function is ready.
const READY_PATH: &str = "/_/ready";

/// Why the provider cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port cannot be had, or a directory is not there.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The last run's state cannot be used.
    #[error(transparent)]
    State(#[from] state_file::Error),
    /// The credentials cannot be read.
    #[error(transparent)]
    Credentials(#[from] auth::Error),
    /// A setting, or the file it names, is wrong.
    #[error("{0}")]
    Setting(String),
}

/// What a provider needs to know, with everything read that had to be read.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) default_namespace: String,
    pub(crate) functions_dir: PathBuf,
    pub(crate) image_map: Option<PathBuf>,
    /// Directories of the image map as it was at the start: the sandbox shows these and no others.
    pub(crate) image_dirs: Vec<PathBuf>,
}

/// To be called first in `main`, before any thread is started: where this process was started by a provider to be a
/// sandbox or a watchdog, it is that, and gives the code to exit with.
pub fn reenter() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    if arguments.nth(1).is_some_and(|role| role == "fwatchdog") {
        return Some(faas_watchdog::command_line(arguments, std::env::vars_os()));
    }
    sandbox::reenter(std::env::args_os())
}

/// The provider, with its port taken.
pub struct MemoryService {
    provider: MemoryProvider,
    server: Server,
    tools: Arc<Tools>,
    stop: CancellationToken,
    drain: Option<Duration>,
}

impl MemoryService {
    /// Restores the last run's functions and takes the port; functions start meanwhile.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn bind(config: Config, address: SocketAddr) -> Result<Self, Error> {
        let credentials = match config.basic_auth {
            true => Some(Credentials::from_files(&config.secret_mount_path)?),
            false => None,
        };
        Self::bind_as(config, address, credentials, Allowed::default(), None).await
    }

    /// As [`MemoryService::bind`], with credentials from the caller, and with what the sandbox may use and which program
    /// it enters again, for tests and programs that embed the provider.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn bind_as(
        config: Config,
        address: SocketAddr,
        credentials: Option<Credentials>,
        allowed: Allowed,
        program: Option<PathBuf>,
    ) -> Result<Self, Error> {
        let settings = settings(&config)?;
        let (file, records) = match &config.data_dir {
            Some(directory) => {
                let (file, records) = StateFile::open(directory)?;
                (Some(file), records)
            }
            None => (None, Records::default()),
        };
        let sandbox = Sandbox::detect(sandbox_config(&config, &settings, allowed, program)).await;
        tell(sandbox.capabilities());
        let tools = Arc::new(Tools {
            sandbox,
            ledger: Ledger::new(records, file, &settings.default_namespace),
            publisher: Publisher::default(),
            probes: probes()?,
            ready_path: READY_PATH,
            address: config.replica_ip().await.map_err(Error::Setting)?,
            scratch: Scratch::on_disk(),
            paused: Paused::new(config.paused_replicas, env::limit(config.paused_time)),
        });
        let stop = CancellationToken::new();
        let limit = env::limit(config.read_timeout);
        let options = Options {
            credentials,
            default_namespace: settings.default_namespace.clone(),
            max_replicas: config.max_replicas,
            call_timeout: limit,
            forwarder: Forwarder::new(limit),
            registry: Registry::new(),
            stop: stop.clone(),
        };
        let provider = MemoryProvider::new(settings, Arc::clone(&tools));
        let routes = router(Arc::new(provider.clone()), options)
            .map_err(|error| Error::Setting(error.to_string()))?;
        let drain = env::limit(config.write_timeout);
        let server = Server::bind(address, routes)
            .await?
            .header_timeout(limit)
            .drain(drain);
        provider.restore();
        Ok(Self {
            provider,
            server,
            tools,
            stop,
            drain,
        })
    }

    /// The address that was taken.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// The table of endpoints, for a gateway in the same process.
    #[must_use]
    pub fn endpoints(&self) -> watch::Receiver<EndpointTable> {
        self.tools.publisher.watch()
    }

    /// What this machine gives to functions.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        self.tools.sandbox.capabilities()
    }

    /// Serves until `shutdown` ends, then drains: health says so, calls in flight end, replicas are stopped.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let stop = self.stop.clone();
        let told = async move {
            shutdown.await;
            stop.cancel();
        };
        let served = self.server.run(told).await;
        let stopped = self.provider.stop();
        match self.drain {
            None => stopped.await,
            // What is left after that dies with this process.
            Some(limit) => drop(tokio::time::timeout(limit, stopped).await),
        }
        Ok(served?)
    }
}

fn settings(config: &Config) -> Result<Settings, Error> {
    let functions_dir = match &config.functions_dir {
        Some(directory) => std::path::absolute(directory)?,
        None => std::env::current_dir()?,
    };
    if !functions_dir.is_dir() {
        return Err(Error::Setting(format!(
            "functions_dir: {} is no directory",
            functions_dir.display()
        )));
    }
    let images = match &config.image_map {
        Some(path) => ImageMap::read(path).map_err(Error::Setting)?,
        None => ImageMap::default(),
    };
    Ok(Settings {
        default_namespace: config.function_namespace.clone(),
        functions_dir,
        image_map: config.image_map.clone(),
        image_dirs: images.directories().cloned().collect(),
    })
}

fn sandbox_config(
    config: &Config,
    settings: &Settings,
    allowed: Allowed,
    program: Option<PathBuf>,
) -> SandboxConfig {
    let functions_dir = std::iter::once(&settings.functions_dir);
    let read_only_dirs = functions_dir.chain(&settings.image_dirs).cloned().collect();
    let hidden = config.data_dir.iter().chain([&config.secret_mount_path]);
    let mut sandbox = SandboxConfig {
        home: std::env::home_dir(),
        hidden: hidden
            .filter_map(|path| std::path::absolute(path).ok())
            .collect(),
        read_only_dirs,
        sample_uid: FIRST_UID,
        allowed,
        ..SandboxConfig::default()
    };
    if let Some(program) = program {
        sandbox.program = program;
    }
    sandbox
}

/// Says once, aloud, what functions will have to do without.
fn tell(capabilities: &Capabilities) {
    tracing::info!(%capabilities, "what this machine gives to functions");
    let (pid, mount) = (&capabilities.pid_namespace, &capabilities.mount_namespace);
    if let (Support::No(reason), _) | (_, Support::No(reason)) = (pid, mount) {
        tracing::warn!(
            reason,
            "functions run as plain processes, not apart from each other; secrets are refused"
        );
    }
    if let (Support::No(reason), true) = (&capabilities.own_uid, nix::unistd::geteuid().is_root()) {
        tracing::warn!(
            reason,
            "functions run as root, without its rights and with nothing writable but /tmp, but they can read what only root \
             can; let others enter the functions directory (chmod o+x), so that each gets a user of its own"
        );
    }
}

fn probes() -> Result<reqwest::Client, Error> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0);
    client
        .build()
        .map_err(|error| Error::Setting(error.to_string()))
}
