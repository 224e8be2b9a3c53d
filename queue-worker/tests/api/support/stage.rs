//! A gateway, or the target of callbacks, played by the test: what it answers depends on the function, or on what is
//! played next.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use faas_http::Server;
use futures_util::stream;
use http::StatusCode;
use http_body_util::BodyExt;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use super::{soon, until};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Bytes,
    pub(crate) at: Instant,
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A status, headers and a body.
    Status(u16, Vec<(&'static str, String)>, &'static str),
    /// 200, once the test lets go.
    Hold,
    /// Broken off in the middle of the body.
    Broken,
    /// 200 after a moment, and 429 while more than so many calls are being answered.
    Room(usize),
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self::Status(status, Vec::new(), "what came of it")
    }

    pub(crate) fn with(status: u16, name: &'static str, value: impl ToString) -> Self {
        Self::Status(status, vec![(name, value.to_string())], "what came of it")
    }
}

#[derive(Default)]
struct Script {
    next: HashMap<String, VecDeque<Reply>>,
    always: HashMap<String, Reply>,
}

struct Scene {
    seen: Mutex<Vec<Seen>>,
    script: Mutex<Script>,
    /// Calls being answered, and the most there ever were, by function.
    at_once: Mutex<HashMap<String, (usize, usize)>>,
    held: watch::Sender<usize>,
    gate: Semaphore,
}

pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    scene: Arc<Scene>,
    server: Option<JoinHandle<()>>,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        let scene = Arc::new(Scene {
            seen: Mutex::default(),
            script: Mutex::default(),
            at_once: Mutex::default(),
            held: watch::Sender::new(0),
            gate: Semaphore::new(0),
        });
        let mut stage = Self {
            address: ([127, 0, 0, 1], 0).into(),
            scene,
            server: None,
        };
        stage.begin().await;
        stage
    }

    /// Listens, where it listened before.
    pub(crate) async fn begin(&mut self) {
        let scene = Arc::clone(&self.scene);
        let app = Router::new().fallback(move |request| answer(Arc::clone(&scene), request));
        let server = soon("the port", async {
            loop {
                if let Ok(server) = Server::bind(self.address, app.clone()).await {
                    return server;
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
        self.address = server.local_addr();
        let running = async { server.run(std::future::pending()).await.unwrap() };
        self.server = Some(tokio::spawn(running));
    }

    /// Is gone from one moment to the next.
    pub(crate) async fn crash(&mut self) {
        let server = self.server.take().unwrap();
        server.abort();
        let _ = server.await;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers the next calls of a function so, one after the other.
    pub(crate) fn plays(&self, function: &str, replies: impl IntoIterator<Item = Reply>) {
        let mut script = self.scene.script.lock().unwrap();
        let next = script.next.entry(function.to_owned()).or_default();
        next.extend(replies);
    }

    /// Answers all calls of a function so, apart from what is played.
    pub(crate) fn always(&self, function: &str, reply: Reply) {
        let mut script = self.scene.script.lock().unwrap();
        script.always.insert(function.to_owned(), reply);
    }

    /// Requests whose target has a segment like this.
    pub(crate) fn seen(&self, function: &str) -> Vec<Seen> {
        let seen = self.scene.seen.lock().unwrap();
        let of = |seen: &&Seen| name(&seen.target) == function;
        seen.iter().filter(of).cloned().collect()
    }

    /// Waits for so many requests.
    pub(crate) async fn sees(&self, function: &str, count: usize) -> Vec<Seen> {
        until(&format!("{count} calls of {function}"), async || {
            self.seen(function).len() >= count
        })
        .await;
        self.seen(function)
    }

    /// The most calls of a function that were answered at once.
    pub(crate) fn most_at_once(&self, function: &str) -> usize {
        let at_once = self.scene.at_once.lock().unwrap();
        at_once.get(function).map_or(0, |(_, most)| *most)
    }

    /// Waits until so many calls are held.
    pub(crate) async fn holds(&self, count: usize) {
        until(&format!("{count} held calls"), async || {
            *self.scene.held.borrow() == count
        })
        .await;
    }

    pub(crate) fn let_go(&self, count: usize) {
        self.scene.gate.add_permits(count);
    }
}

/// The function's name, or the last segment of another path.
fn name(target: &str) -> String {
    let path = target.split('?').next().unwrap();
    let rest = path.strip_prefix("/function/").unwrap_or(path);
    let segment = rest.trim_start_matches('/').split('/').next().unwrap();
    segment.split('.').next().unwrap().to_owned()
}

async fn answer(scene: Arc<Scene>, request: Request) -> Response {
    if request.uri().path() == "/healthz" {
        return "OK".into_response();
    }
    let (parts, body) = request.into_parts();
    let target = parts.uri.to_string();
    let function = name(&target);
    let running = Running::begin(&scene, &function);
    let headers = parts.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let seen = Seen {
        method: parts.method.to_string(),
        target,
        headers: headers.collect(),
        body: body.collect().await.unwrap().to_bytes(),
        at: Instant::now(),
    };
    scene.seen.lock().unwrap().push(seen);
    let reply = {
        let mut script = scene.script.lock().unwrap();
        let next = script.next.get_mut(&function).and_then(VecDeque::pop_front);
        next.or_else(|| script.always.get(&function).cloned())
    };
    match reply.unwrap_or_else(|| Reply::status(200)) {
        Reply::Status(status, headers, body) => {
            let mut response = body.into_response();
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            for (name, value) in headers {
                response.headers_mut().append(name, value.parse().unwrap());
            }
            response
        }
        Reply::Hold => {
            let _held = Held::enter(&scene.held);
            scene.gate.acquire().await.unwrap().forget();
            "released".into_response()
        }
        Reply::Room(most) => {
            if running.now() > most {
                return (StatusCode::TOO_MANY_REQUESTS, "no room").into_response();
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            "there was room".into_response()
        }
        Reply::Broken => {
            let half = Ok(Bytes::from_static(b"half"));
            let pieces = stream::iter([half, Err(std::io::Error::other("broken"))]);
            Body::from_stream(pieces).into_response()
        }
    }
}

struct Held<'a>(&'a watch::Sender<usize>);

impl<'a> Held<'a> {
    fn enter(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|held| *held += 1);
        Self(count)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|held| *held -= 1);
    }
}

/// One call being answered.
struct Running<'a>(&'a Scene, &'a str);

impl<'a> Running<'a> {
    fn begin(scene: &'a Scene, function: &'a str) -> Self {
        let mut at_once = scene.at_once.lock().unwrap();
        let (now, most) = at_once.entry(function.to_owned()).or_default();
        *now += 1;
        *most = (*most).max(*now);
        Self(scene, function)
    }
}

impl Running<'_> {
    fn now(&self) -> usize {
        self.0.at_once.lock().unwrap()[self.1].0
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.at_once.lock().unwrap().get_mut(self.1).unwrap().0 -= 1;
    }
}
