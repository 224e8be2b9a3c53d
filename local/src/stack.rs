//! Gateway, provider, queue, worker and idler in one process: ports, credentials and lifetimes, and nothing else.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use faas_gateway::endpoints::InProcess;
use faas_gateway::{Addresses, Gateway, Parts};
use faas_http::auth::{Credentials, Pair};
use faas_idler::Idler;
use faas_provider_memory::MemoryService;
use faas_provider_memory::sandbox::Allowed;
use faas_queue::Embedded;
use faas_queue::embedded::Limits;
use faas_queue_worker::Worker;
use prometheus::Registry;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Config;

/// The running stack, with its ports taken.
pub struct Stack {
    gateway: Gateway,
    provider: MemoryService,
    worker: Worker,
    idler: Option<Idler>,
}

impl Stack {
    /// Takes the ports and restores what was deployed; functions start meanwhile. `program` is what is started again to
    /// be a sandbox or a watchdog: this very program, unless a test says otherwise.
    ///
    /// # Errors
    /// When a port, a directory or the credentials cannot be had.
    pub async fn start(config: &Config, program: Option<PathBuf>) -> anyhow::Result<Self> {
        // The provider's port is on loopback, where every local process can reach it: only the gateway knows the password.
        let inner = Credentials::fixed(Pair::new("gateway", Uuid::new_v4().to_string()));
        let provider = MemoryService::bind_as(
            provider_config(config)?,
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            Some(inner.clone()),
            Allowed::default(),
            program,
        )
        .await?;
        let credentials = match config.basic_auth {
            true => Some(Credentials::from_files(&config.secret_mount_path)?),
            false => None,
        };
        let on = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let addresses = Addresses {
            public: on(config.port),
            metrics: on(config.metrics_port),
        };
        let (queue, series) = (queue(config)?, Registry::new());
        let parts = Parts {
            endpoints: Arc::new(InProcess(provider.endpoints())),
            credentials: credentials.clone(),
            provider_credentials: Some(inner),
            queue: Some(Arc::new(queue.clone())),
            series: vec![series.clone()],
        };
        let gateway_config = gateway_config(config, provider.local_addr())?;
        let gateway = Gateway::bind_with(gateway_config, addresses, parts).await?;
        let url = format!("http://{}", gateway.addresses().public);
        let worker_config = worker_config(config, &url)?;
        let worker = Worker::new(worker_config, Arc::new(queue), &series)?;
        let idler = idler_config(config, &url)?
            .map(|config| Idler::counting_in(config, credentials.as_ref(), &series))
            .transpose()?;
        Ok(Self {
            gateway,
            provider,
            worker,
            idler,
        })
    }

    /// The addresses that were taken.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.gateway.addresses()
    }

    /// Runs until `shutdown` ends or a service does. Gateway and worker drain first, so that their calls find their
    /// replicas; the worker's running calls are among those that the gateway waits for.
    ///
    /// # Errors
    /// When a service fails.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let (stop_gateway, stop_provider) = (CancellationToken::new(), CancellationToken::new());
        let mut services: JoinSet<anyhow::Result<()>> = JoinSet::new();
        let (gateway, provider, worker) = (self.gateway, self.provider, self.worker);
        let stopped = (
            stop_gateway.clone().cancelled_owned(),
            stop_provider.clone().cancelled_owned(),
        );
        let gateway_drained = stop_provider.clone();
        services.spawn(async move {
            let served = gateway.run(stopped.0).await;
            gateway_drained.cancel();
            served.context("gateway")
        });
        let stop_idler = stop_gateway.clone();
        if let Some(idler) = self.idler {
            services.spawn(async move {
                idler.run(stop_idler.cancelled_owned()).await;
                Ok(())
            });
        }
        let stop_worker = stop_gateway.clone();
        services.spawn(async move {
            worker.run(stop_worker.cancelled_owned()).await;
            Ok(())
        });
        services.spawn(async move { provider.run(stopped.1).await.context("provider") });

        // One down, all down: half a stack only confuses.
        tokio::select! {
            () = shutdown => {}
            Some(ended) = services.join_next() => ended??,
        }
        stop_gateway.cancel();
        while let Some(ended) = services.join_next().await {
            ended??;
        }
        Ok(())
    }
}

/// The queue, beside what the provider keeps.
fn queue(config: &Config) -> anyhow::Result<Embedded> {
    let limits = Limits {
        result_ttl: config.async_result_ttl,
        ..Limits::default()
    };
    Ok(Embedded::open(&state_dir(config)?, limits)?)
}

fn worker_config(config: &Config, gateway: &str) -> anyhow::Result<faas_queue_worker::Config> {
    Ok(faas_queue_worker::Config {
        gateway_url: gateway.parse()?,
        max_inflight: config.max_inflight,
        upstream_timeout: config.upstream_timeout,
        scale_from_zero_timeout: config.scale_from_zero_timeout,
        max_retry_attempts: config.max_retry_attempts,
        initial_retry_wait: config.initial_retry_wait,
        max_retry_wait: config.max_retry_wait,
        retry_http_codes: config.retry_http_codes.clone(),
        max_message_age: config.max_message_age,
        shutdown_timeout: config.write_timeout,
        callback_retry_waits: config.callback_retry_waits.clone(),
        ..faas_queue_worker::Config::embedded()?
    })
}

fn idler_config(config: &Config, gateway: &str) -> anyhow::Result<Option<faas_idler::Config>> {
    let Some(prometheus) = &config.prometheus_host else {
        return Ok(None);
    };
    Ok(Some(faas_idler::Config {
        prometheus_port: config.prometheus_port,
        inactivity_duration: config.inactivity_duration,
        reconcile_interval: config.reconcile_interval,
        function_namespace: config.function_namespace.clone(),
        write_debug: config.write_debug,
        dry_run: config.dry_run,
        ..faas_idler::Config::before(gateway, prometheus)?
    }))
}

fn state_dir(config: &Config) -> anyhow::Result<PathBuf> {
    config
        .state_dir()
        .context("data_dir: there is no home directory; set it")
}

fn provider_config(config: &Config) -> anyhow::Result<faas_provider_memory::Config> {
    let data_dir = state_dir(config)?;
    Ok(faas_provider_memory::Config {
        data_dir: Some(data_dir),
        functions_dir: config.functions_dir.clone(),
        image_map: config.image_map.clone(),
        function_namespace: config.function_namespace.clone(),
        max_replicas: config.max_replicas,
        paused_replicas: config.paused_replicas,
        paused_time: config.paused_time,
        read_timeout: config.read_timeout,
        write_timeout: config.write_timeout,
        secret_mount_path: config.secret_mount_path.clone(),
        ..faas_provider_memory::Config::embedded()?
    })
}

fn gateway_config(config: &Config, provider: SocketAddr) -> anyhow::Result<faas_gateway::Config> {
    Ok(faas_gateway::Config {
        read_timeout: config.read_timeout,
        write_timeout: config.write_timeout,
        upstream_timeout: config.upstream_timeout,
        scale_from_zero: config.scale_from_zero,
        scale_from_zero_timeout: config.scale_from_zero_timeout,
        function_namespace: config.function_namespace.clone(),
        async_max_body_bytes: config.async_max_body_bytes,
        max_message_age: config.max_message_age,
        browser_guard: true,
        ..faas_gateway::Config::in_front_of(&format!("http://{provider}"))?
    })
}
