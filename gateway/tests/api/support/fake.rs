//! A provider played by hand: one of ours, which publishes its endpoints, or a foreign one, which does not.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use faas_http::Server;
use futures_util::{Stream, stream};
use http::{Method, StatusCode, Uri};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Port, Replica};

/// In place of a status: no answer at all.
const SILENCE: u16 = 0;

/// A function of a fake provider.
#[derive(Clone, Debug)]
pub(crate) struct Deployed {
    pub(crate) replicas: u64,
    pub(crate) available: u64,
    pub(crate) labels: Value,
    pub(crate) annotations: Value,
    /// Where its replica listens, if not at the fake's own one.
    pub(crate) address: Option<SocketAddr>,
}

impl Deployed {
    /// A function with so many replicas, all of them ready.
    pub(crate) fn with(replicas: u64) -> Self {
        Self {
            replicas,
            available: replicas,
            labels: json!({}),
            annotations: json!({}),
            address: None,
        }
    }
}

/// What a fake does when it is asked to scale.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scale {
    /// As asked, at once.
    Done,
    /// As asked, half a second later.
    Late,
    /// As asked, but ready only a second later.
    Cold,
    /// As asked, but nothing ever becomes ready.
    NeverReady,
    /// Refused with this status.
    Refused(u16),
}

/// A request that a fake has seen.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// `METHOD /path?query`.
    pub(crate) line: String,
    pub(crate) authorization: String,
    pub(crate) body: String,
    /// Who asked, if it said so: see [`Fake::by`].
    pub(crate) by: String,
    pub(crate) at: Instant,
    /// Calls that the replica was answering just then.
    pub(crate) calls: usize,
}

/// A provider that does what the test says.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    pub(crate) replica: Replica,
    _port: Port,
    stage: Arc<Stage>,
    server: Option<JoinHandle<()>>,
}

struct Stage {
    foreign: bool,
    replica: SocketAddr,
    answering: Arc<super::replica::Stage>,
    functions: watch::Sender<BTreeMap<String, Deployed>>,
    seen: Mutex<Vec<Seen>>,
    canned: Mutex<HashMap<String, (u16, String)>>,
    scale: Mutex<Scale>,
}

impl Fake {
    /// One of ours.
    pub(crate) async fn start() -> Self {
        Self::of(false).await
    }

    /// One that publishes no endpoints, and knows no namespaces.
    pub(crate) async fn foreign() -> Self {
        Self::of(true).await
    }

    async fn of(foreign: bool) -> Self {
        let replica = Replica::start().await;
        let stage = Arc::new(Stage {
            foreign,
            replica: replica.address,
            answering: Arc::clone(&replica.stage),
            functions: watch::Sender::default(),
            seen: Mutex::default(),
            canned: Mutex::default(),
            scale: Mutex::new(Scale::Done),
        });
        let port = Port::reserve();
        let mut fake = Self {
            address: port.address,
            _port: port,
            replica,
            stage,
            server: None,
        };
        fake.begin().await;
        fake
    }

    /// Its address for one who is to be told from others.
    pub(crate) fn by(&self, who: &str) -> String {
        format!("http://{}/by/{who}/", self.address)
    }

    /// Listens, on the same port as before.
    pub(crate) async fn begin(&mut self) {
        let stage = Arc::clone(&self.stage);
        let app =
            Router::new().fallback(move |request: Request| serve(Arc::clone(&stage), request));
        let server = Server::bind(self.address, app).await.unwrap();
        let running = async { server.run(std::future::pending()).await.unwrap() };
        self.server = Some(tokio::spawn(running));
    }

    /// Is gone from one moment to the next, with all its connections.
    pub(crate) async fn crash(&mut self) {
        let server = self.server.take().unwrap();
        server.abort();
        assert!(server.await.unwrap_err().is_cancelled());
    }

    pub(crate) fn deploy(&self, name: &str, function: Deployed) {
        self.stage.functions.send_modify(|functions| {
            functions.insert(name.to_owned(), function);
        });
    }

    pub(crate) fn delete(&self, name: &str) {
        self.stage.functions.send_modify(|functions| {
            functions.remove(name);
        });
    }

    /// Answers a path, whatever the method and query, with this from now on.
    pub(crate) fn answers(&self, path: &str, status: u16, body: &str) {
        let answer = (status, body.to_owned());
        self.stage
            .canned
            .lock()
            .unwrap()
            .insert(path.to_owned(), answer);
    }

    /// Never answers a path from now on.
    pub(crate) fn is_silent_on(&self, path: &str) {
        self.answers(path, SILENCE, "");
    }

    /// Answers a path as a fake does again.
    pub(crate) fn answers_no_more(&self, path: &str) {
        self.stage.canned.lock().unwrap().remove(path);
    }

    pub(crate) fn on_scale(&self, scale: Scale) {
        *self.stage.scale.lock().unwrap() = scale;
    }

    /// The requests seen whose line begins like this.
    pub(crate) fn seen(&self, line: &str) -> Vec<Seen> {
        let seen = self.stage.seen.lock().unwrap();
        seen.iter()
            .filter(|seen| seen.line.starts_with(line))
            .cloned()
            .collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

/// Takes the name of who asks out of a path.
fn who(request: &mut Request) -> String {
    let target = request.uri().to_string();
    let named = target
        .strip_prefix("/by/")
        .and_then(|rest| rest.split_once('/'));
    let Some((who, rest)) = named else {
        return String::new();
    };
    *request.uri_mut() = Uri::try_from(format!("/{rest}")).unwrap();
    who.to_owned()
}

async fn serve(stage: Arc<Stage>, mut request: Request) -> Response {
    let by = who(&mut request);
    if request.uri().path().starts_with("/function/") {
        return call(&stage, request).await;
    }
    let (parts, body) = request.into_parts();
    let body = match body.collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(_) => return StatusCode::BAD_REQUEST.into_response(),
    };
    let header = parts.headers.get("authorization");
    stage.seen.lock().unwrap().push(Seen {
        line: format!("{} {}", parts.method, parts.uri),
        authorization: header
            .map_or("", |value| value.to_str().unwrap())
            .to_owned(),
        body: body.clone(),
        by,
        at: Instant::now(),
        calls: stage.answering.busy(),
    });
    let canned = stage.canned.lock().unwrap().get(parts.uri.path()).cloned();
    if let Some((SILENCE, _)) = canned {
        return std::future::pending().await;
    }
    if let Some((status, body)) = canned {
        return (StatusCode::from_u16(status).unwrap(), body).into_response();
    }
    let path = parts.uri.path().trim_start_matches("/system/");
    let is_late = matches!(*stage.scale.lock().unwrap(), Scale::Late);
    if is_late && path.starts_with("scale-function/") {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    match (parts.method, path) {
        (Method::GET, "endpoints") if !stage.foreign => {
            Body::from_stream(endpoints(&stage)).into_response()
        }
        (Method::GET, "functions") => list(&stage),
        (Method::GET, "namespaces") => "[]".into_response(),
        (Method::GET, "info") => info(),
        (Method::GET, "/healthz") => StatusCode::OK.into_response(),
        (method, path) => one(&stage, &method, path, &body),
    }
}

/// What concerns one function.
fn one(stage: &Arc<Stage>, method: &Method, path: &str, body: &str) -> Response {
    let (what, name) = path.split_once('/').unwrap_or((path, ""));
    let function = stage.functions.borrow().get(name).cloned();
    let Some(mut function) = function else {
        return (StatusCode::NOT_FOUND, "no such thing\n").into_response();
    };
    if what == "function" {
        return json_of(&status(name, &function));
    }
    assert_eq!((method, what), (&Method::POST, "scale-function"));
    let scale = *stage.scale.lock().unwrap();
    if let Scale::Refused(status) = scale {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    let wish: Value = serde_json::from_str(body).unwrap();
    function.replicas = wish["replicas"].as_u64().unwrap();
    if matches!(scale, Scale::Done | Scale::Late) {
        function.available = function.replicas;
    }
    if matches!(scale, Scale::Cold) {
        function.available = function.available.min(function.replicas);
        tokio::spawn(warm(Arc::clone(stage), name.to_owned()));
    }
    stage.functions.send_modify(|functions| {
        functions.insert(name.to_owned(), function);
    });
    StatusCode::ACCEPTED.into_response()
}

/// A second later all replicas are ready that there are to be then.
async fn warm(stage: Arc<Stage>, name: String) {
    tokio::time::sleep(Duration::from_secs(1)).await;
    stage.functions.send_modify(|functions| {
        if let Some(function) = functions.get_mut(&name) {
            function.available = function.replicas;
        }
    });
}

/// The provider's own way to a function.
async fn call(stage: &Stage, mut request: Request) -> Response {
    let target = request.uri().to_string();
    let rest = target.trim_start_matches("/function/");
    let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let function = stage.functions.borrow().get(name).cloned();
    if function.is_none_or(|function| function.available == 0) {
        let words = format!("No endpoints available for: {name}.\n");
        return (StatusCode::SERVICE_UNAVAILABLE, words).into_response();
    }
    *request.uri_mut() = Uri::try_from(format!("/{rest}")).unwrap();
    Arc::clone(&stage.answering).answer(request).await
}

fn info() -> Response {
    let version = json!({"release": "9.9", "sha": "abc"});
    json_of(&json!({"provider": "fake", "orchestration": "by hand", "version": version}))
}

fn list(stage: &Stage) -> Response {
    let functions = stage.functions.borrow();
    let list: Vec<Value> = functions
        .iter()
        .map(|(name, one)| status(name, one))
        .collect();
    json_of(&json!(list))
}

fn status(name: &str, function: &Deployed) -> Value {
    json!({
        "name": name,
        "image": "none",
        "replicas": function.replicas,
        "availableReplicas": function.available,
        "labels": function.labels,
        "annotations": function.annotations,
    })
}

fn json_of(value: &Value) -> Response {
    let headers = [("content-type", "application/json")];
    (headers, value.to_string()).into_response()
}

/// The stream of endpoints, written by hand, so that what the gateway reads is not what it wrote itself.
fn endpoints(stage: &Stage) -> impl Stream<Item = Result<String, std::io::Error>> + use<> {
    let (table, replica) = (stage.functions.subscribe(), stage.replica);
    stream::unfold((table, Vec::new(), true), move |state| async move {
        let (mut table, before, first): (watch::Receiver<_>, Vec<String>, bool) = state;
        if !first {
            table.changed().await.ok()?;
        }
        let now: BTreeMap<String, Deployed> = table.borrow_and_update().clone();
        let mut lines: Vec<Value> = now
            .iter()
            .map(|(name, one)| line(name, one, replica))
            .collect();
        let gone = before.iter().filter(|name| !now.contains_key(*name));
        lines.extend(gone.map(|name| json!({"name": full(name), "removed": true})));
        if first {
            lines.push(json!({"complete": true}));
        }
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let names = now.into_keys().collect();
        Some((Ok(text), (table, names, false)))
    })
}

fn full(name: &str) -> String {
    format!("{name}.openfaas-fn")
}

fn line(name: &str, function: &Deployed, replica: SocketAddr) -> Value {
    let address = function.address.unwrap_or(replica).to_string();
    let endpoint = |id| json!({"id": format!("{name}-{id}"), "address": address});
    json!({
        "name": full(name),
        "replicas": function.replicas,
        "labels": function.labels,
        "annotations": function.annotations,
        "endpoints": (0..function.available).map(endpoint).collect::<Vec<_>>(),
    })
}
