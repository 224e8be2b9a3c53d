//! A large body, in and out, through gateway and provider to a plain echo server: what they hold of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::ensure;
use async_trait::async_trait;
use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use faas_http::Server;
use faas_http::forward::Upstream;
use faas_provider::{
    EndpointTable, FunctionDeployment, FunctionEndpoints, FunctionName, FunctionNamespace,
    FunctionStatus, Options, Provider, ProviderError, ProviderInfo, Publisher, VersionInfo, router,
};
use futures_util::{StreamExt, stream};
use tokio::sync::watch;

use crate::local::{megabytes, println_line};
use crate::process::{Process, free_port, load, until_ok};

const PIECE: usize = 64 * 1024;
const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

pub(crate) async fn measure(programs: &Path, mebibytes: u64) -> anyhow::Result<()> {
    println_line(&format!("load average before: {}", load()));
    let echo = Server::bind(
        SocketAddr::from((LOOPBACK, 0)),
        Router::new().fallback(any(echoed)),
    )
    .await?;
    let echo_address = echo.local_addr().to_string();
    tokio::spawn(echo.run(std::future::pending()));

    let [provider_port, port, metrics_port] = [free_port()?, free_port()?, free_port()?];
    let this = std::env::current_exe()?;
    let provider = Process::start(
        &this,
        &["provider", &echo_address],
        &[("port", provider_port.to_string())],
    )?;
    let variables = [
        (
            "functions_provider_url",
            format!("http://127.0.0.1:{provider_port}"),
        ),
        ("port", port.to_string()),
        ("metrics_port", metrics_port.to_string()),
    ];
    let gateway = Process::start(&programs.join("gateway"), &[], &variables)?;
    until_ok(&format!("http://127.0.0.1:{port}/function/echo")).await?;
    let idle = gateway.kilobytes("VmRSS")? + provider.kilobytes("VmRSS")?;

    let began = Instant::now();
    let total = mebibytes * 1024 * 1024;
    let received = send_and_count(&format!("http://127.0.0.1:{port}/function/echo"), total).await?;
    ensure!(received == total, "{received} of {total} bytes came back");
    let seconds = began.elapsed().as_secs_f64();

    let (gateway, provider) = (gateway.kilobytes("VmHWM")?, provider.kilobytes("VmHWM")?);
    println_line(&format!(
        "{mebibytes} MiB in and out in {seconds:.1} s; peak resident: gateway {:.1} MB + provider {:.1} MB = {:.1} MB (idle {:.1} MB)",
        megabytes(gateway),
        megabytes(provider),
        megabytes(gateway + provider),
        megabytes(idle),
    ));
    println_line(&format!("load average after: {}", load()));
    Ok(())
}

async fn echoed(request: Request) -> Response {
    Response::new(request.into_body())
}

/// Sends `total` bytes, chunked, and counts what comes back.
async fn send_and_count(url: &str, total: u64) -> anyhow::Result<u64> {
    let piece = Bytes::from(vec![7u8; PIECE]);
    let pieces = total / PIECE as u64;
    let body = stream::iter(0..pieces).map(move |_| Ok::<_, std::io::Error>(piece.clone()));
    let client = reqwest::Client::builder().no_proxy().build()?;
    let answer = client
        .post(url)
        .body(reqwest::Body::wrap_stream(body))
        .send()
        .await?;
    ensure!(
        answer.status() == 200,
        "the call answered {}",
        answer.status()
    );
    let mut received = 0;
    let mut pieces = answer.bytes_stream();
    while let Some(piece) = pieces.next().await {
        received += piece?.len() as u64;
    }
    Ok(received)
}

/// A provider with one function, answered by the echo server. It hides its table of endpoints, so that the gateway calls
/// through it instead of past it.
pub(crate) async fn provider(echo: &str) -> anyhow::Result<()> {
    let port: u16 = std::env::var("port")?.parse()?;
    let publisher = Publisher::complete();
    let name = FunctionName::new("echo", "openfaas-fn");
    let endpoints = vec![Upstream::new("echo", echo.parse()?)];
    publisher.publish(
        &name,
        FunctionEndpoints {
            replicas: 1,
            endpoints,
            ..FunctionEndpoints::default()
        },
    );
    let routes = router(
        Arc::new(OneFunction { name, publisher }),
        Options::default(),
    )?;
    let hidden = Router::new().route(
        "/system/endpoints",
        any(async || axum::http::StatusCode::NOT_FOUND),
    );
    let routes = hidden.fallback_service(routes);
    Server::bind(SocketAddr::from((LOOPBACK, port)), routes)
        .await?
        .run(std::future::pending())
        .await?;
    Ok(())
}

struct OneFunction {
    name: FunctionName,
    publisher: Publisher,
}

impl OneFunction {
    fn described(&self) -> FunctionStatus {
        let deployment = FunctionDeployment {
            service: "echo".into(),
            image: "echo".into(),
            ..Default::default()
        };
        FunctionStatus {
            replicas: 1,
            available_replicas: 1,
            ..FunctionStatus::of(&self.name, &deployment)
        }
    }
}

#[async_trait]
impl Provider for OneFunction {
    fn info(&self) -> ProviderInfo {
        let version = VersionInfo::of_release("0");
        ProviderInfo {
            provider: "bench".into(),
            orchestration: "none".into(),
            version,
        }
    }

    fn endpoints(&self) -> watch::Receiver<EndpointTable> {
        self.publisher.watch()
    }

    async fn list(&self, _namespace: &str) -> Result<Vec<FunctionStatus>, ProviderError> {
        Ok(vec![self.described()])
    }

    async fn status(
        &self,
        name: &FunctionName,
        _usage: bool,
    ) -> Result<FunctionStatus, ProviderError> {
        if *name == self.name {
            Ok(self.described())
        } else {
            Err(ProviderError::NotFound(name.clone()))
        }
    }

    async fn deploy(
        &self,
        _name: &FunctionName,
        _wish: FunctionDeployment,
    ) -> Result<(), ProviderError> {
        Err(ProviderError::Unsupported("deployments"))
    }

    async fn update(
        &self,
        _name: &FunctionName,
        _wish: FunctionDeployment,
    ) -> Result<(), ProviderError> {
        Err(ProviderError::Unsupported("updates"))
    }

    async fn delete(&self, _name: &FunctionName) -> Result<(), ProviderError> {
        Err(ProviderError::Unsupported("deletions"))
    }

    async fn scale(&self, _name: &FunctionName, _replicas: u64) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn namespaces(&self) -> Result<Vec<FunctionNamespace>, ProviderError> {
        Ok(vec![FunctionNamespace {
            name: "openfaas-fn".into(),
            ..Default::default()
        }])
    }
}
