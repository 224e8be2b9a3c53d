//! The worker as a value: make it, run it, drain it.

use std::collections::HashSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use faas_http::env;
use faas_queue::{RetryPolicy, Work};
use prometheus::Registry;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Config;
use crate::bodies::Bodies;
use crate::call::Gateway;
use crate::callbacks::{Callbacks, Posting};
use crate::dispatch::Dispatch;
use crate::gate::Gate;
use crate::held::Held;
use crate::metrics::Metrics;
use crate::post::Post;

/// Warnings that are not repeated; more are not told at all.
const MOST_WARNINGS: usize = 1000;
/// How often depths are measured while anything happens.
const MEASURE: Duration = Duration::from_secs(1);

/// Why the worker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Metrics cannot be registered.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// There can be no client for callbacks.
    #[error("callbacks: {0}")]
    Tls(#[from] rustls::Error),
    /// There is no queue.
    #[error(transparent)]
    Queue(#[from] faas_queue::nats::NatsError),
    /// The port cannot be had.
    #[error("metrics_port: {0}")]
    Port(std::io::Error),
    /// A setting is wrong.
    #[error("{0}")]
    Setting(&'static str),
}

/// What the parts of the worker share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) policy: RetryPolicy,
    pub(crate) queue: Arc<dyn Work>,
    pub(crate) gateway: Gateway,
    pub(crate) bodies: Bodies,
    pub(crate) gate: Gate,
    pub(crate) held: Held,
    pub(crate) posting: Posting,
    pub(crate) metrics: Metrics,
    warned: Mutex<HashSet<String>>,
}

impl Shared {
    /// Says once what would be said of every call.
    pub(crate) fn warn_once(&self, function: &str, line: &str) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.len() < MOST_WARNINGS && warned.insert(format!("{function} {line}")) {
            tracing::warn!(function, "{line}");
        }
    }
}

/// The worker.
pub struct Worker {
    shared: Arc<Shared>,
    post: Post,
}

impl Worker {
    /// A worker of this queue, which registers its series with `series`, for whoever has a metrics page.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn new(
        config: Config,
        queue: Arc<dyn Work>,
        series: &Registry,
    ) -> Result<Self, StartError> {
        if config.max_inflight == 0 || config.callback_max_inflight == 0 {
            let words = "max_inflight, callback_max_inflight: 0 would make no call at all";
            return Err(StartError::Setting(words));
        }
        let post = Post::new(&config)?;
        let shared = Arc::new(Shared {
            policy: config.policy(),
            gateway: Gateway::new(&config),
            bodies: Bodies::default(),
            gate: Gate::new(),
            held: Held::default(),
            posting: Posting::default(),
            metrics: Metrics::new(series, &config.queue_name)?,
            warned: Mutex::default(),
            config,
            queue,
        });
        Ok(Self { shared, post })
    }

    /// Works until `shutdown` ends; then nothing more is taken, running calls and callbacks get their time, and what they
    /// come to is stored. Calls that need more than `shutdown_timeout` are given up, and made again by whoever works next.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let shared = self.shared;
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let attempts = TaskTracker::new();
        let dispatch = Dispatch::new(Arc::clone(&shared), attempts.clone());
        let callbacks = Callbacks::new(Arc::clone(&shared), self.post, attempts.clone());
        let told = async {
            shutdown.await;
            stop.cancel();
        };
        let working = async {
            tokio::join!(told, dispatch.run(&stop), callbacks.run(&stop));
            attempts.close();
            let drained = attempts.wait();
            match env::limit(shared.config.shutdown_timeout) {
                Some(limit) => drop(tokio::time::timeout(limit, drained).await),
                None => drained.await,
            }
            ended.cancel();
        };
        let beside = async {
            tokio::join!(
                extend_leases(&shared),
                hear_of_cancellations(&shared),
                shared.gate.keep(&shared.gateway),
                measure(&shared),
            );
        };
        tokio::join!(working, ended.run_until_cancelled(beside));
    }
}

/// Extends the leases of everything held, three times in each. Never ends.
async fn extend_leases(shared: &Shared) {
    let lease = shared.queue.lease();
    let mut ticks = interval(lease / 3);
    let mut extended = Instant::now();
    loop {
        ticks.tick().await;
        let mut held = shared.held.receipts();
        held.extend(shared.posting.receipts());
        if held.is_empty() {
            extended = Instant::now();
            continue;
        }
        // Also where this program stood still, and nothing failed.
        let late = extended.elapsed() > lease;
        let word = shared.queue.extend(&held).await;
        if let Err(error) = &word {
            tracing::warn!(%error, calls = held.len(), "leases cannot be extended");
        }
        if late {
            shared.metrics.lease_lost.inc_by(held.len() as u64);
        }
        if late || word.is_ok() {
            extended = Instant::now();
        }
    }
}

/// Aborts running calls as they are cancelled. Never ends, unless the queue does.
async fn hear_of_cancellations(shared: &Shared) {
    let mut cancellations = shared.queue.cancellations();
    loop {
        match cancellations.recv().await {
            Ok(id) => shared.held.cancel(id),
            Err(RecvError::Closed) => return,
            Err(RecvError::Lagged(_)) => {
                for id in shared.held.all() {
                    if shared.queue.is_cancelled(id).await == Ok(true) {
                        shared.held.cancel(id);
                    }
                }
            }
        }
    }
}

/// Measures depths and books whenever something has happened, and while anything waits. Never ends, unless the queue does.
async fn measure(shared: &Shared) {
    let mut changes = shared.queue.changes();
    loop {
        changes.mark_unchanged();
        let waits = shared.metrics.measure(&*shared.queue).await;
        sleep(MEASURE).await;
        if !waits && changes.changed().await.is_err() {
            return;
        }
    }
}
