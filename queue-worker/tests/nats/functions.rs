//! A provider of another kind whose functions are played here, and the ledger of what they ran: it outlives every process
//! of the system.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use faas_http::Server;
use serde_json::json;

/// One run of a function.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) at: Instant,
}

#[derive(Default)]
struct Written {
    runs: Vec<Run>,
    callbacks: Vec<(String, String)>,
    /// How long a function takes, and what it answers then.
    plays: HashMap<String, (Duration, u16)>,
}

/// The functions `f` and `g`, `count`, which counts the bytes that it is sent, two that name queues, and the target of
/// callbacks.
#[derive(Clone)]
pub(crate) struct Functions {
    pub(crate) address: SocketAddr,
    written: Arc<Mutex<Written>>,
}

impl Functions {
    pub(crate) async fn start() -> Self {
        let written = Arc::default();
        let routes = Router::new()
            .route("/system/namespaces", get(async || "[]"))
            .route(
                "/system/info",
                get(async || json!({"provider": "played", "orchestration": "test", "version": {"release": "1", "sha": "1"}}).to_string()),
            )
            .route(
                "/system/functions",
                get(async || json!([function("f"), function("g"), function("count"), of_queue("slow"), of_queue("none")]).to_string()),
            )
            .route("/healthz", get(async || "OK"))
            .route("/function/{name}", any(run))
            .route("/function/{name}/", any(run))
            .route("/function/count.openfaas-fn/", post(count))
            .route("/callback", post(called_back))
            .with_state(Arc::clone(&written));
        let server = Server::bind(([127, 0, 0, 1], 0).into(), routes)
            .await
            .unwrap();
        let address = server.local_addr();
        tokio::spawn(server.run(std::future::pending()));
        Self { address, written }
    }

    /// A function takes so long from now on, and answers so.
    pub(crate) fn plays(&self, function: &str, takes: Duration, status: u16) {
        let mut written = self.written.lock().unwrap();
        written.plays.insert(function.to_owned(), (takes, status));
    }

    /// What ran so far.
    pub(crate) fn runs(&self) -> Vec<Run> {
        self.written.lock().unwrap().runs.clone()
    }

    /// How often each call ran.
    pub(crate) fn times(&self) -> HashMap<String, usize> {
        let mut times = HashMap::new();
        for run in self.runs() {
            *times.entry(run.id).or_default() += 1;
        }
        times
    }

    /// Calls that were called back, with the status that was told.
    pub(crate) fn callbacks(&self) -> Vec<(String, String)> {
        self.written.lock().unwrap().callbacks.clone()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn function(name: &str) -> serde_json::Value {
    json!({
        "name": name, "namespace": "openfaas-fn", "image": "played",
        "replicas": 1, "availableReplicas": 1, "invocationCount": 0,
    })
}

/// A function of the queue that has its name.
fn of_queue(name: &str) -> serde_json::Value {
    let mut function = function(name);
    function["annotations"] = json!({"com.openfaas.queue": name});
    function
}

async fn run(
    State(written): State<Arc<Mutex<Written>>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let id = header(&request, "x-invocation-id");
    let name = name.split('.').next().unwrap_or_default();
    let (takes, status) = {
        let mut written = written.lock().unwrap();
        let at = Instant::now();
        written.runs.push(Run { id, at });
        let played = written.plays.get(name).copied();
        played.unwrap_or((Duration::ZERO, 200))
    };
    tokio::time::sleep(takes).await;
    (StatusCode::from_u16(status).unwrap(), "what came of it").into_response()
}

async fn count(request: Request) -> String {
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    body.unwrap().len().to_string()
}

async fn called_back(State(written): State<Arc<Mutex<Written>>>, request: Request) {
    let pair = (
        header(&request, "x-invocation-id"),
        header(&request, "x-function-status"),
    );
    written.lock().unwrap().callbacks.push(pair);
}

fn header(request: &Request, name: &str) -> String {
    let value = request.headers().get(name);
    value.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
}
