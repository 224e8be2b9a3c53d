//! The worker as a service of its own: a queue on NATS, and a port for those who look after it.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use faas_http::{Server, metrics};
use faas_queue::{Nats, Queue};
use http::StatusCode;
use prometheus::{IntCounter, Registry};
use tokio_util::sync::CancellationToken;

use crate::Config;
use crate::worker::{StartError, Worker};

/// What the port tells of.
struct Seen {
    queue: Nats,
    series: Registry,
    reconnects: IntCounter,
    evicted: IntCounter,
    stop: CancellationToken,
}

/// The worker, with its port taken.
pub struct Service {
    worker: Worker,
    server: Server,
    stop: CancellationToken,
}

impl Service {
    /// Takes the port and begins to connect. Where NATS is not there yet it is waited for.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn bind(config: Config, address: SocketAddr) -> Result<Self, StartError> {
        let series = Registry::new();
        #[cfg(target_os = "linux")]
        series.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        let reconnects = IntCounter::new(
            "queue_worker_nats_reconnect_total",
            "How often the connection to NATS was made again.",
        )?;
        series.register(Box::new(reconnects.clone()))?;
        let evicted = IntCounter::new(
            "queue_worker_dead_letter_evicted_total",
            "Dead letters that were pushed out, too old or too many, while this worker looked on.",
        )?;
        series.register(Box::new(evicted.clone()))?;
        let queue = Nats::work(config.nats()?).await?;
        let worker = Worker::new(config, Arc::new(queue.clone()), &series)?;
        let stop = CancellationToken::new();
        let seen = Arc::new(Seen {
            queue,
            series,
            reconnects,
            evicted,
            stop: stop.clone(),
        });
        let server = Server::bind(address, routes(seen)).await;
        Ok(Self {
            worker,
            server: server.map_err(StartError::Port)?,
            stop,
        })
    }

    /// The address that was taken.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Works until `shutdown` ends, and then as [`Worker::run`] says; the port is served until then.
    ///
    /// # Errors
    /// When the port fails.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> std::io::Result<()> {
        let (stop, drained) = (self.stop, CancellationToken::new());
        let told = async {
            shutdown.await;
            stop.cancel();
        };
        let working = async {
            self.worker.run(told).await;
            drained.cancel();
        };
        let (served, ()) = tokio::join!(self.server.run(drained.cancelled()), working);
        served
    }
}

fn routes(seen: Arc<Seen>) -> Router {
    Router::new()
        .route("/metrics", get(page))
        .route("/healthz", get(async || "OK"))
        .route("/readyz", get(ready))
        .with_state(seen)
}

async fn page(State(seen): State<Arc<Seen>>) -> Response {
    for (counter, counted) in [
        (&seen.reconnects, seen.queue.reconnects()),
        (&seen.evicted, seen.queue.evicted()),
    ] {
        counter.inc_by(counted.saturating_sub(counter.get()));
    }
    metrics::page(&seen.series)
}

/// The state of each dependency, a line each; 503 unless all are well.
async fn ready(State(seen): State<Arc<Seen>>) -> Response {
    let stops = seen.stop.is_cancelled().then(|| "draining".to_owned());
    let states = [("worker", stops), ("queue", seen.queue.trouble())];
    let all = states.iter().all(|(_, trouble)| trouble.is_none());
    let lines = states.iter();
    let lines = lines.map(|(name, trouble)| {
        let words = trouble.as_deref().unwrap_or("ok");
        format!("{name}: {words}\n")
    });
    let status = match all {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, lines.collect::<String>()).into_response()
}
