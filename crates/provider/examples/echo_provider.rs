//! A whole provider: functions in a map, and one small echo server that answers for every replica of all of them.
//!
//! ```text
//! cargo run -p faas-provider --example echo_provider
//! curl 127.0.0.1:8081/system/functions -d '{"service":"hello","image":"any"}'
//! curl 127.0.0.1:8081/function/hello -d 'Is anybody there?'
//! ```
use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

use async_trait::async_trait;
use axum::{Router, body::Body};
use faas_http::{Server, env, forward::Upstream, shutdown};
use faas_provider::*;
use http::uri::Authority;
use tokio::sync::{Mutex, watch};

type Result<T = (), E = ProviderError> = std::result::Result<T, E>;

struct EchoProvider {
    functions: Mutex<BTreeMap<FunctionName, FunctionStatus>>,
    /// The replicas that take calls, told to everybody who forwards.
    table: Publisher,
    echo: Authority,
}

impl EchoProvider {
    /// Keeps a function and publishes its replicas, which all answer at once.
    async fn keep(&self, name: &FunctionName, mut status: FunctionStatus, replicas: u64) {
        (status.replicas, status.available_replicas) = (replicas, replicas);
        let replica = |number| Upstream::new(format!("{name}-{number}"), self.echo.clone());
        let endpoints = (0..replicas).map(replica).collect();
        self.table
            .publish(name, FunctionEndpoints::of(&status, endpoints));
        self.functions.lock().await.insert(name.clone(), status);
    }
}

#[async_trait]
impl Provider for EchoProvider {
    fn info(&self) -> ProviderInfo {
        ProviderInfo::new("echo", "none", env!("CARGO_PKG_VERSION"))
    }

    fn endpoints(&self) -> watch::Receiver<EndpointTable> {
        self.table.watch()
    }

    async fn list(&self, namespace: &str) -> Result<Vec<FunctionStatus>> {
        let functions = self.functions.lock().await;
        let here = functions.values().filter(|one| one.namespace == namespace);
        Ok(here.cloned().collect())
    }

    async fn status(&self, name: &FunctionName, _usage: bool) -> Result<FunctionStatus> {
        let known = self.functions.lock().await.get(name).cloned();
        known.ok_or_else(|| ProviderError::NotFound(name.clone()))
    }

    async fn deploy(&self, name: &FunctionName, wish: FunctionDeployment) -> Result {
        if self.status(name, false).await.is_ok() {
            return Err(ProviderError::AlreadyExists(format!("function {name}")));
        }
        self.keep(name, FunctionStatus::of(name, &wish), 1).await;
        Ok(())
    }

    async fn update(&self, name: &FunctionName, wish: FunctionDeployment) -> Result {
        let old = self.status(name, false).await?;
        self.keep(name, FunctionStatus::of(name, &wish), old.replicas)
            .await;
        Ok(())
    }

    async fn delete(&self, name: &FunctionName) -> Result {
        self.table.remove(name);
        let gone = self.functions.lock().await.remove(name);
        gone.map(drop)
            .ok_or_else(|| ProviderError::NotFound(name.clone()))
    }

    async fn scale(&self, name: &FunctionName, replicas: u64) -> Result {
        let status = self.status(name, false).await?;
        self.keep(name, status, replicas).await;
        Ok(())
    }
}

faas_http::settings! {
    /// Settings of the example.
    struct Config {
        /// Port of the provider API.
        pub port: u16 = "8081",
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config: Config = env::read(std::env::vars())?;
    let echo = Router::new().fallback(|body: Body| async { body });
    let echo = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), echo).await?;
    let provider = EchoProvider {
        functions: Mutex::default(),
        table: Publisher::complete(),
        echo: echo.local_addr().to_string().parse()?,
    };
    tokio::spawn(echo.run(std::future::pending()));
    let routes = router(Arc::new(provider), Options::default())?;
    let server = Server::bind((Ipv4Addr::LOCALHOST, config.port).into(), routes).await?;
    Ok(server.run(shutdown::signal()).await?)
}
