//! The gateway as a value: bind it, run it, drain it.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use faas_http::auth::Credentials;
use faas_http::forward::Forwarder;
use faas_http::{Server, env};
use faas_provider::{Client, EndpointTable};
use faas_queue::Queue;
use http::HeaderMap;
use prometheus::Registry;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::body::Budget;
use crate::endpoints::{Endpoints, Watched};
use crate::error::{Error, StartError};
use crate::metrics::Metrics;
use crate::provider::{Limits, ProviderLink};
use crate::queues::{self, OnNats};
use crate::scaling::{Company, FromZero, Policy, Raiser, Scaler};
use crate::{Config, routes};

/// Where the gateway listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The public API.
    pub public: SocketAddr,
    /// Metrics, liveness, readiness.
    pub metrics: SocketAddr,
}

/// What a program that holds the gateway gives it.
pub struct Parts {
    /// Which replicas, how busy.
    pub endpoints: Arc<dyn Endpoints>,
    /// What callers of `/system` are asked for.
    pub credentials: Option<Credentials>,
    /// What the provider is sent.
    pub provider_credentials: Option<Credentials>,
    /// Where asynchronous calls are put; without one there are none.
    pub queue: Option<Arc<dyn Queue>>,
    /// Further series for the metrics page.
    pub series: Vec<Registry>,
}

/// What handlers share.
pub(crate) type App = Arc<Shared>;

pub(crate) struct Shared {
    pub(crate) config: Config,
    /// The provider, for requests of our own.
    pub(crate) client: Client,
    /// The provider, for requests passed on.
    pub(crate) provider: ProviderLink,
    /// Whoever answers for logs.
    pub(crate) logs: ProviderLink,
    pub(crate) endpoints: Arc<dyn Endpoints>,
    pub(crate) table: watch::Receiver<EndpointTable>,
    pub(crate) forwarder: Forwarder,
    pub(crate) upstream_timeout: Option<Duration>,
    /// Longest wait for a slot of a function that is awake.
    pub(crate) overload_wait: Option<Duration>,
    pub(crate) from_zero: Arc<FromZero>,
    pub(crate) scaler: Arc<Scaler>,
    pub(crate) metrics: Arc<Metrics>,
    /// Who may ask for more than their own calls.
    pub(crate) credentials: Option<Credentials>,
    pub(crate) queue: Option<Arc<dyn Queue>>,
    /// Memory for bodies on their way to the queue.
    pub(crate) bodies: Budget,
    /// Cancelled when the gateway begins to drain.
    pub(crate) stop: CancellationToken,
}

impl Shared {
    /// The queue, where there is one.
    pub(crate) fn queue(&self) -> Result<&Arc<dyn Queue>, Error> {
        let none = "asynchronous calls are not available: this gateway has no queue";
        self.queue.as_ref().ok_or(Error::Unsupported(none))
    }

    /// Whether a request may ask what only users of `/system` may.
    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
        let credentials = self.credentials.as_ref();
        credentials.is_none_or(|credentials| credentials.admit(headers))
    }
}

/// The gateway, with its ports taken.
pub struct Gateway {
    app: App,
    public: Server,
    metrics: Server,
}

impl Gateway {
    /// Takes both ports, in front of a provider in another process.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn bind(config: Config, addresses: Addresses) -> Result<Self, StartError> {
        let credentials = match config.basic_auth {
            true => Some(Credentials::from_files(&config.secret_mount_path)?),
            false => None,
        };
        let client = client(&config, credentials.as_ref())?;
        let endpoints = Watched::start(
            client,
            &config.functions_provider_url,
            &config.function_namespace,
        );
        let series = Registry::new();
        let OnNats { queue, client } = queues::connect(&config, &series).await?;
        let company = client.map(|client| Company::at(client, config.nats_stream_replicas));
        let parts = Parts {
            endpoints: Arc::new(endpoints),
            credentials: credentials.clone(),
            provider_credentials: credentials,
            queue,
            series: vec![series],
        };
        Self::of(config, addresses, parts, company).await
    }

    /// Takes both ports, with what the caller gives: for programs that hold gateway and provider in one process.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn bind_with(
        config: Config,
        addresses: Addresses,
        parts: Parts,
    ) -> Result<Self, StartError> {
        Self::of(config, addresses, parts, None).await
    }

    async fn of(
        config: Config,
        addresses: Addresses,
        parts: Parts,
        company: Option<Arc<Company>>,
    ) -> Result<Self, StartError> {
        let Parts {
            endpoints,
            credentials,
            provider_credentials,
            queue,
            series,
        } = parts;
        let upstream_timeout = env::limit(config.upstream_timeout);
        let overload_wait = env::limit(config.overload_wait);
        let client = client(&config, provider_credentials.as_ref())?;
        let link = |url, silence| {
            let limits = Limits {
                body: env::limit(config.read_timeout),
                answer: upstream_timeout,
                silence,
            };
            ProviderLink::new(url, provider_credentials.clone(), limits)
        };
        let provider_url = &config.functions_provider_url;
        let table = endpoints.table();
        let metrics =
            Metrics::new(series).map_err(|error| StartError::Setting(error.to_string()))?;
        let metrics = Arc::new(metrics);
        let policy = Policy::of(&config).map_err(StartError::Setting)?;
        let raiser = Raiser::new(client.clone(), Arc::clone(&endpoints), company.clone());
        let scaler = Scaler::new(
            policy.clone(),
            client.clone(),
            Arc::clone(&endpoints),
            Arc::clone(&metrics),
            queue.clone(),
            company.clone(),
            Arc::clone(&raiser),
        );
        let scaler = scaler.map_err(|error| StartError::Setting(error.to_string()))?;
        let app = Arc::new(Shared {
            scaler,
            provider: link(provider_url, upstream_timeout)?,
            // A followed log may be silent for hours.
            logs: link(
                config.logs_provider_url.as_ref().unwrap_or(provider_url),
                None,
            )?,
            forwarder: Forwarder::new(upstream_timeout),
            from_zero: FromZero::new(
                &config,
                policy,
                Arc::clone(&metrics),
                raiser,
                Arc::clone(&endpoints),
                company,
            ),
            metrics,
            credentials: credentials.clone(),
            queue,
            bodies: Budget::default(),
            stop: CancellationToken::new(),
            config,
            client,
            endpoints,
            table,
            upstream_timeout,
            overload_wait,
        });
        let limit = env::limit(app.config.read_timeout);
        let public = Server::bind(
            addresses.public,
            routes::public(Arc::clone(&app), credentials),
        )
        .await?;
        let public = public
            .header_timeout(limit)
            .drain(env::limit(app.config.write_timeout));
        let metrics = Server::bind(addresses.metrics, routes::private(Arc::clone(&app))).await?;
        let metrics = metrics
            .header_timeout(Some(Duration::from_secs(5)))
            .drain(Some(Duration::from_secs(5)));
        Ok(Self {
            app,
            public,
            metrics,
        })
    }

    /// The addresses that were taken.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        Addresses {
            public: self.public.local_addr(),
            metrics: self.metrics.local_addr(),
        }
    }

    /// Serves until `shutdown` ends; then readiness is off at once, no new connection is taken, and the calls in flight
    /// are answered. Metrics are served until they are.
    ///
    /// # Errors
    /// When a server fails.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
        let stop = self.app.stop.clone();
        let told = async {
            shutdown.await;
            stop.cancel();
        };
        let drained = CancellationToken::new();
        let public = async {
            let served = self.public.run(told).await;
            drained.cancel();
            served
        };
        let metrics = self.metrics.run(drained.cancelled());
        let following = drained.run_until_cancelled(follow_table(Arc::clone(&self.app)));
        // Who drains decides nothing more, and has calls that others have to know of.
        let scaler = &self.app.scaler;
        let scaling = Arc::clone(scaler).run(self.app.stop.clone());
        let scaling = async {
            drained.run_until_cancelled(scaling).await;
            scaler.leave().await;
        };
        let (public, metrics, _, ()) = tokio::join!(public, metrics, following, scaling);
        public?;
        metrics?;
        Ok(())
    }
}

fn client(config: &Config, credentials: Option<&Credentials>) -> Result<Client, StartError> {
    let pair = credentials.map(Credentials::pair);
    let client = Client::new(config.functions_provider_url.clone(), pair.as_ref());
    client.map_err(|error| StartError::Setting(error.to_string()))
}

/// Drops the series of functions as they are deleted, and lets in the calls that wait for replicas as these come.
async fn follow_table(app: App) {
    let mut table = app.table.clone();
    while table.changed().await.is_ok() {
        let now = table.borrow_and_update().clone();
        app.metrics.forget_missing(&now);
        app.metrics.set_slots(&now);
    }
}
