//! The idler as a service of its own: a port for those who look after it.

use std::future::Future;
use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use faas_http::{Server, metrics};
use tokio_util::sync::CancellationToken;

use crate::idler::{Idler, StartError};

/// The idler, with its port taken.
pub struct Service {
    idler: Idler,
    server: Server,
}

impl Service {
    /// Takes the port.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn bind(idler: Idler, address: SocketAddr) -> Result<Self, StartError> {
        let registry = idler.metrics.registry.clone();
        let routes = Router::new()
            .route("/metrics", get(async move || metrics::page(&registry)))
            .route("/healthz", get(async || "OK"));
        let server = Server::bind(address, routes).await;
        Ok(Self {
            idler,
            server: server.map_err(StartError::Port)?,
        })
    }

    /// The address that was taken.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Looks again and again until `shutdown` ends.
    ///
    /// # Errors
    /// When the port fails.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> std::io::Result<()> {
        let stopped = CancellationToken::new();
        let looking = async {
            self.idler.run(shutdown).await;
            stopped.cancel();
        };
        let (served, ()) = tokio::join!(self.server.run(stopped.cancelled()), looking);
        served
    }
}
