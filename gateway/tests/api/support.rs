//! What the tests share: a running gateway, providers to put behind it, and patience with an end.

mod fake;
mod memory;
#[allow(dead_code, reason = "another suite uses all of it")]
#[path = "../../../crates/queue/tests/nats/patience.rs"]
pub(crate) mod patience;
mod queued;
mod replica;
mod wire;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use faas_gateway::endpoints::Watched;
use faas_gateway::{Addresses, Config, Gateway, Parts, StartError};
use faas_http::auth::Credentials;
use faas_queue::Queue;
use http::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::net::TcpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) use fake::{Deployed, Fake, Scale};
pub(crate) use memory::Memory;
pub(crate) use patience::{soon, until};
pub(crate) use queued::Queued;
pub(crate) use replica::Replica;
pub(crate) use wire::Wire;

pub(crate) const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A port that nobody else is given as long as this lives: bound, so that it can be listened on, again and again.
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    _bound: TcpSocket,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        let bound = TcpSocket::new_v4().unwrap();
        bound.set_reuseaddr(true).unwrap();
        bound.bind(ANY_PORT).unwrap();
        Self {
            address: bound.local_addr().unwrap(),
            _bound: bound,
        }
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn to(request: RequestBuilder) -> Self {
        let response = soon("an answer", request.send()).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = soon("the body", response.text()).await.unwrap();
        Self {
            status,
            headers,
            text,
        }
    }

    /// A header's text; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that this is an error as the gateway makes them: a line of text that names the hop.
    pub(crate) fn is_refusal(&self, status: u16, words: &str) {
        assert_eq!((self.status, self.text.trim_end()), (status, words));
        assert_eq!(self.text, format!("{words}\n"));
        assert_eq!(self.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(self.header("x-openfaas-internal"), "gateway");
    }
}

/// A client as callers have one: no proxy, no redirects, no patience without end.
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// The default settings in front of a provider.
pub(crate) fn config(provider: SocketAddr) -> Config {
    Config::in_front_of(&format!("http://{provider}")).unwrap()
}

/// A running gateway.
pub(crate) struct TestGateway {
    pub(crate) at: Addresses,
    pub(crate) http: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), StartError>>,
}

impl TestGateway {
    pub(crate) async fn before(provider: SocketAddr) -> Self {
        Self::with(config(provider)).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let on = Addresses {
            public: ANY_PORT,
            metrics: ANY_PORT,
        };
        Self::running(Gateway::bind(config, on).await.unwrap())
    }

    /// A gateway with a queue, which asks for credentials where there are some.
    pub(crate) async fn queueing(
        config: Config,
        queue: Arc<dyn Queue>,
        credentials: Option<Credentials>,
    ) -> Self {
        let on = Addresses {
            public: ANY_PORT,
            metrics: ANY_PORT,
        };
        let provider = &config.functions_provider_url;
        let client = faas_provider::Client::new(provider.clone(), None).unwrap();
        let parts = Parts {
            endpoints: Arc::new(Watched::start(client, provider, &config.function_namespace)),
            credentials,
            provider_credentials: None,
            queue: Some(queue),
            series: Vec::new(),
        };
        let gateway = Gateway::bind_with(config, on, parts).await.unwrap();
        Self::running(gateway)
    }

    fn running(gateway: Gateway) -> Self {
        let at = gateway.addresses();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(gateway.run(async move { drop(stopped.await) }));
        Self {
            at,
            http: client(),
            stop: Some(stop),
            running,
        }
    }

    /// A gateway that has seen the provider's functions.
    pub(crate) async fn ready(provider: SocketAddr) -> Self {
        Self::before(provider).await.once_ready().await
    }

    pub(crate) async fn once_ready(self) -> Self {
        until("the gateway to be ready", async || {
            self.private("/readyz").await.status == 200
        })
        .await;
        self
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at.public)
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.http.request(method, self.url(path))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::to(self.request("GET", path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        Answer::to(self.request("POST", path).body(body)).await
    }

    pub(crate) async fn json(&self, method: &str, path: &str, body: Value) -> Answer {
        Answer::to(self.request(method, path).json(&body)).await
    }

    /// The metrics port.
    pub(crate) async fn private(&self, path: &str) -> Answer {
        Answer::to(self.http.get(format!("http://{}{path}", self.at.metrics))).await
    }

    /// A value on the metrics page: that of the series with these labels.
    pub(crate) async fn sample(&self, series: &str, labels: &[(&str, &str)]) -> Option<f64> {
        sample(&self.private("/metrics").await.text, series, labels)
    }

    /// Waits until a series has a value: a call ends a moment after its caller has seen the end.
    pub(crate) async fn counts(&self, series: &str, labels: &[(&str, &str)], value: f64) {
        until(&format!("{series} {labels:?} to be {value}"), async || {
            self.sample(series, labels).await == Some(value)
        })
        .await;
    }

    /// Deploys a function and waits until it is ready.
    pub(crate) async fn deploy(&self, name: &str, process: &str) {
        let deployment =
            serde_json::json!({"service": name, "image": "none", "envProcess": process});
        self.deploy_as(deployment).await;
    }

    pub(crate) async fn deploy_as(&self, deployment: Value) {
        let name = deployment["service"].as_str().unwrap().to_owned();
        let namespace = deployment["namespace"].as_str().unwrap_or("openfaas-fn");
        let path = format!("/system/function/{name}?namespace={namespace}");
        let answer = self
            .json("POST", "/system/functions", deployment.clone())
            .await;
        assert_eq!((answer.status, answer.text.as_str()), (202, ""));
        until("the function to be ready", async || {
            self.get(&path).await.json()["availableReplicas"] != 0
        })
        .await;
    }

    /// Tells it to stop.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until it has stopped.
    pub(crate) async fn stopped(self) {
        soon("the gateway to stop", self.running)
            .await
            .unwrap()
            .unwrap();
    }

    pub(crate) fn is_running(&self) -> bool {
        !self.running.is_finished()
    }
}

/// See [`TestGateway::sample`].
pub(crate) fn sample(page: &str, series: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let prefix = format!("{series}{{");
    let wanted = |line: &&str| {
        line.starts_with(&prefix)
            && labels
                .iter()
                .all(|(name, value)| line.contains(&format!("{name}=\"{value}\"")))
    };
    let line = page.lines().find(wanted)?;
    line.rsplit_once(' ')?.1.parse().ok()
}
