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
    pub(crate) function: String,
    /// What the call said of retries made before.
    pub(crate) retry: String,
    pub(crate) at: Instant,
}

/// How a function is played.
#[derive(Clone, Copy)]
struct Play {
    takes: Duration,
    /// What it answers then.
    status: u16,
    /// Calls at once that it has room for; it answers 429 to more.
    room: usize,
}

#[derive(Default)]
struct Written {
    runs: Vec<Run>,
    callbacks: Vec<(String, String, Instant)>,
    plays: HashMap<String, Play>,
    /// Calls that are being answered, by function.
    at_once: HashMap<String, usize>,
    refused: usize,
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
        Self::on(([127, 0, 0, 1], 0).into()).await
    }

    pub(crate) async fn on(address: SocketAddr) -> Self {
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
        let server = Server::bind(address, routes).await.unwrap();
        let address = server.local_addr();
        tokio::spawn(server.run(std::future::pending()));
        Self { address, written }
    }

    /// A function takes so long from now on, and answers so.
    pub(crate) fn plays(&self, function: &str, takes: Duration, status: u16) {
        let room = usize::MAX;
        let play = Play {
            takes,
            status,
            room,
        };
        self.play(function, play);
    }

    /// A function takes so long from now on, and has room for so many calls at once.
    pub(crate) fn has_room(&self, function: &str, takes: Duration, room: usize) {
        let status = 200;
        let play = Play {
            takes,
            status,
            room,
        };
        self.play(function, play);
    }

    fn play(&self, function: &str, play: Play) {
        let mut written = self.written.lock().unwrap();
        written.plays.insert(function.to_owned(), play);
    }

    /// Calls for which there was no room.
    pub(crate) fn refused(&self) -> usize {
        self.written.lock().unwrap().refused
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

    /// Checks that every accepted call ran; how many ran more than once.
    pub(crate) fn ran_twice(&self, accepted: &[String]) -> usize {
        let times = self.times();
        let lost: Vec<_> = accepted
            .iter()
            .filter(|id| !times.contains_key(*id))
            .collect();
        assert!(lost.is_empty(), "accepted, and never ran: {lost:?}");
        accepted.iter().filter(|id| times[*id] > 1).count()
    }

    /// Calls that were called back, with the status that was told.
    pub(crate) fn callbacks(&self) -> Vec<(String, String)> {
        let written = self.written.lock().unwrap();
        let callbacks = written.callbacks.iter();
        callbacks
            .map(|(id, status, _)| (id.clone(), status.clone()))
            .collect()
    }

    /// When each call was called back first.
    pub(crate) fn called_back_at(&self) -> HashMap<String, Instant> {
        let written = self.written.lock().unwrap();
        let callbacks = written.callbacks.iter().rev();
        callbacks.map(|(id, _, at)| (id.clone(), *at)).collect()
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
    let function = name.split('.').next().unwrap_or_default().to_owned();
    let Some((play, _running)) = begin(&written, &function, &request) else {
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    };
    tokio::time::sleep(play.takes).await;
    let status = StatusCode::from_u16(play.status).unwrap();
    (status, "what came of it").into_response()
}

/// Writes a call down, where there is room for it.
fn begin(all: &Arc<Mutex<Written>>, function: &str, request: &Request) -> Option<(Play, Running)> {
    let mut written = all.lock().unwrap();
    let play = written.plays.get(function).copied().unwrap_or(Play {
        takes: Duration::ZERO,
        status: 200,
        room: usize::MAX,
    });
    let at_once = written.at_once.entry(function.to_owned()).or_default();
    if *at_once >= play.room {
        written.refused += 1;
        return None;
    }
    *at_once += 1;
    written.runs.push(Run {
        id: header(request, "x-invocation-id"),
        function: function.to_owned(),
        retry: header(request, "x-retry"),
        at: Instant::now(),
    });
    Some((play, Running(Arc::clone(all), function.to_owned())))
}

/// A call that is being answered.
struct Running(Arc<Mutex<Written>>, String);

impl Drop for Running {
    fn drop(&mut self) {
        let mut written = self.0.lock().unwrap();
        *written.at_once.get_mut(&self.1).unwrap() -= 1;
    }
}

async fn count(request: Request) -> String {
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    body.unwrap().len().to_string()
}

async fn called_back(State(written): State<Arc<Mutex<Written>>>, request: Request) {
    let callback = (
        header(&request, "x-invocation-id"),
        header(&request, "x-function-status"),
        Instant::now(),
    );
    written.lock().unwrap().callbacks.push(callback);
}

fn header(request: &Request, name: &str) -> String {
    let value = request.headers().get(name);
    value.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
}
