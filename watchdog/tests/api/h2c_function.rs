//! A function that speaks nothing but HTTP/2, and a caller who does.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{PATIENCE, Watchdog};

/// Waits for what has to come.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let came = tokio::time::timeout(PATIENCE, future).await;
    came.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// The function; what it does is said by the path.
pub(crate) struct Function {
    pub(crate) watchdog: Watchdog,
    connections: Arc<AtomicUsize>,
    /// Calls that hang.
    hanging: Arc<AtomicUsize>,
}

impl Function {
    /// A watchdog before it. It listens in this process; the one that the watchdog starts has nothing to do.
    pub(crate) async fn behind(variables: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (connections, hanging) = (Arc::default(), Arc::default());
        let shared = (Arc::clone(&connections), Arc::clone(&hanging));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared.0), Arc::clone(&shared.1)));
            }
        });
        let mut all = vec![
            ("mode", "http"),
            ("upstream_url", url.as_str()),
            ("upstream_protocol", "h2c"),
        ];
        all.extend(variables);
        let watchdog = Watchdog::with("sleep 600", &all);
        Self {
            watchdog,
            connections,
            hanging,
        }
    }

    /// How many connections have carried calls.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn hanging(&self) -> usize {
        self.hanging.load(Ordering::Relaxed)
    }
}

async fn serve(stream: TcpStream, connections: Arc<AtomicUsize>, hanging: Arc<AtomicUsize>) {
    let first = AtomicUsize::new(0);
    let service = service_fn(move |request| {
        if first.fetch_add(1, Ordering::Relaxed) == 0 {
            connections.fetch_add(1, Ordering::Relaxed);
        }
        act(request, Hanging(Arc::clone(&hanging)))
    });
    let server = http2::Builder::new(TokioExecutor::new());
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

/// Counts a call that hangs, until it is dropped.
struct Hanging(Arc<AtomicUsize>);

impl Drop for Hanging {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

async fn act(request: Request<Incoming>, hanging: Hanging) -> Result<Response<Body>, Infallible> {
    hanging.0.fetch_add(1, Ordering::Relaxed);
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let words = |words: String| {
        Full::from(words)
            .map_err(|never| match never {})
            .boxed_unsync()
    };
    let answer = match path.as_str() {
        "/hang" => std::future::pending().await,
        "/half" => {
            let half = stream::iter([Ok(Frame::data("half".into()))]);
            let end = stream::once(async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err(std::io::Error::other("broken off"))
            });
            StreamBody::new(half.chain(end)).boxed_unsync()
        }
        "/endless" => {
            let pieces = stream::repeat_with(move || {
                let _until_it_is_dropped = &hanging;
                Ok(Frame::data(vec![b'x'; 16 * 1024].into()))
            });
            StreamBody::new(pieces).boxed_unsync()
        }
        "/head" => words(format!(
            "{:?} {} {:?}",
            head.version, head.uri, head.headers
        )),
        "/length" => {
            let body = body.collect().await.unwrap().to_bytes();
            words(format!(
                "{} {:?}",
                body.len(),
                head.headers.get("content-length")
            ))
        }
        _ => body
            .map_err(std::io::Error::other)
            .with_trailers(async {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", 0.into());
                Some(Ok(trailers))
            })
            .boxed_unsync(),
    };
    let answer = Response::builder()
        .header("content-type", "application/grpc")
        .body(answer);
    Ok(answer.unwrap())
}

/// A caller's connection.
pub(crate) struct Caller(SendRequest<Bytes>);

impl Caller {
    pub(crate) async fn to(watchdog: &Watchdog) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", watchdog.port))
            .await
            .unwrap();
        // A call that is not read is not to hold up the others.
        let handshake = h2::client::Builder::new()
            .initial_connection_window_size(16 * 1024 * 1024)
            .handshake(stream);
        let (sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    /// Begins a call as gRPC does.
    pub(crate) async fn call(&self, path: &str) -> (ResponseFuture, SendStream<Bytes>) {
        let request = Request::post(format!("http://fn.example:99{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(());
        let mut sender = soon("room for a call", self.0.clone().ready())
            .await
            .unwrap();
        sender.send_request(request.unwrap(), false).unwrap()
    }

    /// A whole call: the answer's status, headers and body.
    pub(crate) async fn post(&self, path: &str, body: &str) -> (StatusCode, HeaderMap, String) {
        let (answer, mut asking) = self.call(path).await;
        asking.send_data(body.to_owned().into(), true).unwrap();
        let (head, body) = soon("an answer", answer).await.unwrap().into_parts();
        (head.status, head.headers, text(body).await)
    }

    pub(crate) async fn is_closed(&self) -> bool {
        let mut ready = pin!(self.0.clone().ready());
        matches!(
            futures_util::poll!(ready.as_mut()),
            std::task::Poll::Ready(Err(_))
        )
    }
}

pub(crate) async fn text(mut body: RecvStream) -> String {
    let mut text = Vec::new();
    while let Some(piece) = soon("the body", body.data()).await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        text.extend_from_slice(&piece);
    }
    String::from_utf8(text).unwrap()
}
