//! Gateway and provider in containers, and calls of their API. The engine goes after the bench, and all of it with it.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::engine::{docker, variable};
use crate::process::until_ok;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// A gateway and a provider.
#[derive(Clone)]
pub(super) struct Platform {
    address: String,
    http: Client,
}

impl Platform {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let host = variable("TEST_DOCKER_HOST")?;
        let socket = host.strip_prefix("unix://").context("no socket")?;
        let group = std::fs::metadata(socket)?.gid();
        // Room for 4,000 replicas, as compose/prepare makes it.
        docker("network create -d overlay --attachable --subnet 10.62.0.0/20 functions")?;
        docker(&format!(
            "run -d --name provider --network functions --user 65532:{group} -v {socket}:/var/run/docker.sock \
             -e functions_network=functions ferrofaas/provider-swarm"
        ))?;
        docker(
            "run -d --name gateway --network functions -p 8080:8080 -e basic_auth=false \
             -e functions_provider_url=http://provider:8080/ ferrofaas/gateway",
        )?;
        let http = Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let platform = Self {
            address: variable("TEST_DOCKER_ADDRESS")?,
            http,
        };
        until_ok(&platform.url("/healthz")).await?;
        Ok(platform)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}:8080{path}", self.address)
    }

    /// Asks the gateway.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: String,
    ) -> anyhow::Result<Response> {
        let request = self.http.request(method, self.url(path)).body(body);
        Ok(request.send().await?)
    }

    async fn accepted(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<()> {
        let answer = self.ask(method, path, body.to_string()).await?;
        let status = answer.status();
        let words = answer.text().await?;
        ensure!(status == StatusCode::ACCEPTED, "{path}: {status} {words}");
        Ok(())
    }

    /// Deploys a function of this process, which is gone at once when it is stopped.
    pub(super) async fn deploy(&self, name: &str, process: &str) -> anyhow::Result<()> {
        let body = json!({
            "service": name, "image": "functions/alpine:latest", "envProcess": process,
            "envVars": {"healthcheck_interval": "0s", "write_timeout": "5s"},
        });
        self.accepted(Method::POST, "/system/functions", &body)
            .await
    }

    pub(super) async fn delete(&self, name: &str) -> anyhow::Result<()> {
        let body = json!({"functionName": name});
        self.accepted(Method::DELETE, "/system/functions", &body)
            .await
    }

    pub(super) async fn scale(&self, name: &str, replicas: u64) -> anyhow::Result<()> {
        let body = json!({"serviceName": name, "replicas": replicas});
        let path = format!("/system/scale-function/{name}");
        self.accepted(Method::POST, &path, &body).await
    }

    /// Calls a function; what it says.
    pub(super) async fn call(&self, name: &str) -> anyhow::Result<String> {
        let path = format!("/function/{name}");
        let answer = self.ask(Method::POST, &path, String::new()).await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status == StatusCode::OK, "{name}: {status} {text}");
        Ok(text.trim().to_owned())
    }
}
