//! A whole provider: functions in a map, and one small echo server that answers for every replica of all of them.
//!
//! ```text
//! cargo run -p faas-provider --example echo_provider
//! curl 127.0.0.1:8081/system/functions -d '{"service":"hello","image":"any"}'
//! curl 127.0.0.1:8081/function/hello -d 'Is anybody there?'
//! ```
use std::{collections::BTreeMap, net::Ipv4Addr, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use axum::{Router, body::Body};
use faas_http::{Server, auth::Credentials, cli, env, forward::Upstream, shutdown};
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
        /// Address of the echo server, as the gateway reaches it.
        pub replica_address: String = "127.0.0.1",
        /// Whether the API wants the credentials in secret_mount_path.
        pub basic_auth: bool = "false",
        /// Directory of the files basic-auth-user and basic-auth-password.
        pub secret_mount_path: PathBuf = "/run/secrets",
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    cli::answer::<Config>("echo_provider", env!("CARGO_PKG_VERSION"), "An example.");
    let config: Config = env::read_process()?;
    let files = config.basic_auth.then_some(config.secret_mount_path);
    let credentials = files.as_deref().map(Credentials::from_files).transpose()?;
    let echo = Router::new().fallback(|body: Body| async { body });
    let echo = Server::bind((Ipv4Addr::UNSPECIFIED, 0).into(), echo).await?;
    let port = echo.local_addr().port();
    let provider = EchoProvider {
        functions: Mutex::default(),
        table: Publisher::complete(),
        echo: format!("{}:{port}", config.replica_address).parse()?,
    };
    tokio::spawn(echo.run(std::future::pending()));
    let options = Options {
        credentials,
        ..Options::default()
    };
    let routes = router(Arc::new(provider), options)?;
    let server = Server::bind((Ipv4Addr::UNSPECIFIED, config.port).into(), routes).await?;
    Ok(server.run(shutdown::signal()).await?)
}
