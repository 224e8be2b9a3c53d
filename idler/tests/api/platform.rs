//! A gateway before functions that the test plays.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use faas_gateway::{Addresses, Autoscaler, Config, Gateway};
use faas_http::Server;
use serde_json::{Value, json};

const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A gateway that does not scale by itself, and wants a password.
pub(crate) struct Platform {
    pub(crate) public: SocketAddr,
    pub(crate) metrics: SocketAddr,
    pub(crate) secrets: tempfile::TempDir,
    stage: Arc<Stage>,
    http: reqwest::Client,
}

#[derive(Default)]
struct Stage {
    functions: Mutex<BTreeMap<String, Function>>,
    /// Every number that somebody asked for, by function.
    asked: Mutex<Vec<(String, u64)>>,
    /// The least that is scaled to, whatever is asked for.
    least: Mutex<u64>,
}

#[derive(Clone)]
struct Function {
    replicas: u64,
    labels: Value,
}

impl Platform {
    pub(crate) async fn start() -> Self {
        let secrets = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("basic-auth-user", "admin"),
            ("basic-auth-password", "secret"),
        ] {
            std::fs::write(secrets.path().join(name), text).unwrap();
        }
        let stage = Arc::new(Stage::default());
        let provider = Server::bind(ANY_PORT, routes(Arc::clone(&stage)))
            .await
            .unwrap();
        let url = format!("http://{}", provider.local_addr());
        tokio::spawn(provider.run(std::future::pending()));
        let mut config = Config::in_front_of(&url).unwrap();
        config.autoscaler = Autoscaler::Off;
        config.basic_auth = true;
        config.secret_mount_path = secrets.path().to_owned();
        let on = Addresses {
            public: ANY_PORT,
            metrics: ANY_PORT,
        };
        let gateway = Gateway::bind(config, on).await.unwrap();
        let at = gateway.addresses();
        tokio::spawn(gateway.run(std::future::pending()));
        Self {
            public: at.public,
            metrics: at.metrics,
            secrets,
            stage,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// Deploys a function with one replica.
    pub(crate) fn deploy(&self, name: &str, labels: Value) {
        let function = Function {
            replicas: 1,
            labels,
        };
        self.stage
            .functions
            .lock()
            .unwrap()
            .insert(name.to_owned(), function);
    }

    /// From now on nothing is scaled below this, though it is said to be.
    pub(crate) fn clamps_to(&self, least: u64) {
        *self.stage.least.lock().unwrap() = least;
    }

    pub(crate) fn replicas(&self, name: &str) -> u64 {
        self.stage.functions.lock().unwrap()[name].replicas
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let functions = self.stage.functions.lock().unwrap();
        functions.keys().cloned().collect()
    }

    pub(crate) fn asked(&self) -> Vec<(String, u64)> {
        self.stage.asked.lock().unwrap().clone()
    }

    /// Calls a function; `hold` as a path takes a minute.
    pub(crate) async fn call(&self, path: &str) -> u16 {
        let url = format!("http://{}/function/{path}", self.public);
        self.http.get(url).send().await.unwrap().status().as_u16()
    }
}

fn routes(stage: Arc<Stage>) -> Router {
    Router::new()
        .route("/system/functions", get(list))
        .route("/system/function/{name}", get(status))
        .route("/system/scale-function/{name}", post(scale))
        .route("/system/namespaces", get(async || "[]"))
        .route("/healthz", get(async || "OK"))
        .route("/function/{*path}", any(called))
        .with_state(stage)
}

fn seen(name: &str, function: &Function) -> Value {
    let replicas = function.replicas;
    json!({"name": name, "image": "none", "replicas": replicas, "availableReplicas": replicas, "labels": function.labels})
}

async fn list(State(stage): State<Arc<Stage>>) -> String {
    let functions = stage.functions.lock().unwrap();
    let seen: Vec<_> = functions
        .iter()
        .map(|(name, function)| seen(name, function))
        .collect();
    Value::from(seen).to_string()
}

async fn status(State(stage): State<Arc<Stage>>, Path(name): Path<String>) -> Response {
    match stage.functions.lock().unwrap().get(&name) {
        Some(function) => seen(&name, function).to_string().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn scale(
    State(stage): State<Arc<Stage>>,
    Path(name): Path<String>,
    body: String,
) -> StatusCode {
    let body: Value = serde_json::from_str(&body).unwrap();
    let replicas = body["replicas"].as_u64().unwrap();
    stage.asked.lock().unwrap().push((name.clone(), replicas));
    let least = *stage.least.lock().unwrap();
    if let Some(function) = stage.functions.lock().unwrap().get_mut(&name) {
        function.replicas = replicas.max(least);
    }
    StatusCode::ACCEPTED
}

async fn called(Path(path): Path<String>) -> &'static str {
    if path.ends_with("/hold") {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    "called\n"
}

/// Waits until a condition holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waited = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(60), waited)
        .await
        .is_err()
    {
        panic!("waited in vain for {what}");
    }
}
