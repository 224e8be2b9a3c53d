//! A replica of a function, played by the test: what it does depends on the path.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use faas_http::Server;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::json;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::{ANY_PORT, until};

type Chunks = mpsc::UnboundedReceiver<Result<&'static str, std::io::Error>>;

/// A process that answers calls.
pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    pub(crate) stage: Arc<Stage>,
    _server: AbortOnDropHandle<()>,
}

/// What the test sees of a replica, and does to it.
pub(crate) struct Stage {
    held: watch::Sender<usize>,
    gate: Semaphore,
    chunks: Mutex<Option<Chunks>>,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            held: watch::Sender::new(0),
            gate: Semaphore::new(0),
            chunks: Mutex::default(),
        }
    }
}

impl Stage {
    /// Waits until so many calls of `/hold` are being answered.
    pub(crate) async fn holds(&self, count: usize) {
        until(&format!("{count} held calls"), async || {
            *self.held.borrow() == count
        })
        .await;
    }

    /// Calls of `/hold` and `/takes` that are being answered.
    pub(crate) fn busy(&self) -> usize {
        *self.held.borrow()
    }

    /// Lets so many calls of `/hold` go, now or when they come.
    pub(crate) fn let_go(&self, count: usize) {
        self.gate.add_permits(count);
    }

    /// The chunks that `/stream` answers with.
    pub(crate) fn stream(&self) -> mpsc::UnboundedSender<Result<&'static str, std::io::Error>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        *self.chunks.lock().unwrap() = Some(receiver);
        sender
    }

    /// Answers a call that came for this path below the function's.
    pub(crate) async fn answer(self: Arc<Self>, request: Request) -> Response {
        let path = request.uri().path().to_owned();
        let mut segments = path.split('/').skip(1);
        match (segments.next(), segments.next()) {
            (Some("hold"), _) => self.hold().await,
            (Some("takes"), Some(millis)) => self.take(millis.parse().unwrap()).await,
            (Some("stream"), _) => self.streamed(),
            (Some("status"), Some(code)) => {
                (StatusCode::from_bytes(code.as_bytes()).unwrap(), "").into_response()
            }
            (Some("broken"), _) => broken(),
            (Some("count"), _) => count(request.into_body()).await.into_response(),
            (Some("big"), Some(mebibytes)) => big(mebibytes.parse().unwrap()),
            _ => echo(request).await,
        }
    }

    async fn hold(&self) -> Response {
        let _held = Held::enter(&self.held);
        self.gate.acquire().await.unwrap().forget();
        "released".into_response()
    }

    async fn take(&self, millis: u64) -> Response {
        let _held = Held::enter(&self.held);
        tokio::time::sleep(Duration::from_millis(millis)).await;
        "taken".into_response()
    }

    fn streamed(&self) -> Response {
        let mut chunks = self.chunks.lock().unwrap().take().unwrap();
        let chunks = stream::poll_fn(move |cx| chunks.poll_recv(cx));
        let headers = [("content-type", "text/event-stream")];
        (headers, Body::from_stream(chunks)).into_response()
    }
}

impl Replica {
    pub(crate) async fn start() -> Self {
        let stage = Arc::new(Stage::default());
        let answering = Arc::clone(&stage);
        let app =
            Router::new().fallback(move |request: Request| Arc::clone(&answering).answer(request));
        let server = Server::bind(ANY_PORT, app).await.unwrap();
        let address = server.local_addr();
        let running = tokio::spawn(async { server.run(std::future::pending()).await.unwrap() });
        Self {
            address,
            stage,
            _server: AbortOnDropHandle::new(running),
        }
    }
}

/// Says what came, as JSON.
async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let headers: BTreeMap<&str, String> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            let text = String::from_utf8_lossy(value.as_bytes());
            (name.as_str(), text.into_owned())
        })
        .collect();
    let body = body.collect().await.unwrap().to_bytes();
    let said = json!({
        "method": parts.method.as_str(),
        "target": parts.uri.to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    ([("x-from", "replica")], said.to_string()).into_response()
}

/// Breaks off in the middle of its answer.
fn broken() -> Response {
    let pieces = [
        Ok(Bytes::from_static(b"half")),
        Err(std::io::Error::other("broken")),
    ];
    // The error comes a moment later, so that the first half is on its way.
    let pieces = stream::iter(pieces).then(|piece| async {
        tokio::task::yield_now().await;
        piece
    });
    Body::from_stream(pieces).into_response()
}

async fn count(mut body: Body) -> String {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
    }
    bytes.to_string()
}

fn big(mebibytes: usize) -> Response {
    let piece = Bytes::from(vec![b'x'; 1024 * 1024]);
    let pieces = std::iter::repeat_n(piece, mebibytes).map(Ok::<_, std::io::Error>);
    Body::from_stream(stream::iter(pieces)).into_response()
}

/// One call of `/hold`, counted until it ends or is given up.
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
