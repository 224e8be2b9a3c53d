//! The provider as a service: bound, served, drained.

use std::net::SocketAddr;
use std::sync::Arc;

use faas_http::auth::{self, Credentials};
use faas_http::forward::Forwarder;
use faas_http::{Server, env};
use faas_provider::{Meter, Options, router};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::Config;
use crate::engine::{Engine, EngineMetrics};
use crate::provider::{Inner, Settings, SwarmProvider};
use crate::secrets::Sweeper;
use crate::watch::Watch;

/// Why the provider cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port cannot be had.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The credentials cannot be read.
    #[error(transparent)]
    Credentials(#[from] auth::Error),
    /// Two things are counted under one name.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

/// The provider, with its port taken.
pub struct SwarmService {
    inner: Arc<Inner>,
    server: Server,
    stop: CancellationToken,
}

impl SwarmService {
    /// Takes the port. The engine is not asked yet: it may come later, and health says so until then.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn bind(config: Config, address: SocketAddr) -> Result<Self, Error> {
        let credentials = match config.basic_auth {
            true => Some(Credentials::from_files(&config.secret_mount_path)?),
            false => None,
        };
        let registry = Registry::new();
        let stop = CancellationToken::new();
        let limit = env::limit(config.read_timeout);
        let drain = env::limit(config.write_timeout);
        let options = Options {
            credentials,
            default_namespace: config.function_namespace.clone(),
            max_replicas: config.max_replicas,
            call_timeout: limit,
            forwarder: Forwarder::new(limit),
            registry: registry.clone(),
            stop: stop.clone(),
        };
        let inner = inner(config, EngineMetrics::register(&registry)?);
        let routes = router(Arc::new(SwarmProvider::new(Arc::clone(&inner))), options)?;
        let server = Server::bind(address, routes)
            .await?
            .header_timeout(limit)
            .drain(drain);
        Ok(Self {
            inner,
            server,
            stop,
        })
    }

    /// The address that was taken.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Serves until `shutdown` ends, then drains. Functions go on without the provider.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let Self {
            inner,
            server,
            stop,
        } = self;
        let _background = AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::join!(inner.watch.run(), inner.sweeper.run());
        }));
        let told = async move {
            shutdown.await;
            stop.cancel();
        };
        Ok(server.run(told).await?)
    }
}

fn inner(config: Config, metrics: EngineMetrics) -> Arc<Inner> {
    let timeout = env::limit(config.engine_timeout);
    let engine = Engine::new(
        config.DOCKER_HOST,
        config.DOCKER_API_VERSION,
        timeout,
        metrics,
    );
    let engine = Arc::new(engine);
    Arc::new(Inner {
        watch: Watch::new(Arc::clone(&engine), config.functions_network.clone()),
        sweeper: Sweeper::new(Arc::clone(&engine)),
        meter: Meter::default(),
        engine,
        settings: Settings {
            default_namespace: config.function_namespace,
            network: config.functions_network,
            registry_config: config.registry_config,
        },
    })
}
