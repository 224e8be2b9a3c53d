//! The server: one call in, one answer out.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, BodyStream};
use hyper::body::Incoming;
use hyper::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION, TRAILER,
};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use super::act::{self, Hoard};
use super::answer::{Body, GZIP, alphabet, pieces, streamed, whole};
use super::counts::Counts;
use super::socket;
use super::wish::{Abort, Content, Piece, Wish};

/// Nothing that is written to a file, or counted, is longer.
const LONGEST: usize = 64 << 20;

#[derive(Default)]
struct Probe {
    replica: String,
    /// Where every call is sent on to, if this probe is a redirector.
    destination: Option<HeaderValue>,
    counts: Counts,
    hoard: Hoard,
}

/// Serves calls until the process ends. With the variable `destination` it redirects every call there.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    let destination = std::env::var("destination").ok();
    let probe = Arc::new(Probe {
        replica: format!("{:016x}", fastrand::u64(..)),
        destination: destination.and_then(|text| HeaderValue::from_str(&text).ok()),
        ..Probe::default()
    });
    loop {
        let (connection, _) = listener.accept().await?;
        let probe = probe.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| call(probe.clone(), request));
            let server = auto::Builder::new(TokioExecutor::new());
            // A connection that breaks is the caller's business, or was asked for.
            let _ = server
                .serve_connection_with_upgrades(TokioIo::new(connection), service)
                .await;
        });
    }
}

async fn call(probe: Arc<Probe>, mut request: Request<Incoming>) -> io::Result<Response<Body>> {
    if request.uri().path() == "/_/health" {
        return Ok(Response::new(whole("OK")));
    }
    if let Some(answer) = socket::accepted(&mut request) {
        return Ok(answer);
    }
    let wish = match Wish::read(request.headers()) {
        Ok(wish) => wish,
        Err(error) => return Ok(plain(StatusCode::BAD_REQUEST, error)),
    };
    if let Some(code) = wish.exit {
        std::process::exit(code);
    }
    let counted = probe.counts.begin(wish.mark.clone());
    act::log(&wish);
    probe.hoard.take(wish.allocate);
    tokio::time::sleep(wish.sleep).await;
    if wish.abort == Some(Abort::Before) {
        return Err(io::Error::other("asked for"));
    }
    let answer = probe.answer(&wish, request).await;
    counted.end();
    Ok(dress(&probe, wish, answer?))
}

impl Probe {
    async fn answer(&self, wish: &Wish, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let breaks = wish.abort == Some(Abort::Middle);
        let trailers = wish.trailers.clone();
        Ok(match &wish.content {
            Content::Description => typed("application/json", self.describe(request).await?),
            Content::Echo => echo(request),
            Content::Bytes(length) => {
                // Half of what is announced, when it is to break off.
                let given = if breaks { length / 2 } else { *length };
                let mut answer = Response::new(streamed(alphabet(given), trailers, breaks));
                if !wish.chunked {
                    answer
                        .headers_mut()
                        .insert(CONTENT_LENGTH, (*length).into());
                }
                answer
            }
            Content::Pieces(count, kind) => {
                let body = streamed(pieces(*count, *kind, wish.every), trailers, breaks);
                with_type(body, kind.content_type())
            }
            Content::Gzip => {
                let mut answer = typed("text/plain", GZIP);
                let gzip = HeaderValue::from_static("gzip");
                answer.headers_mut().insert(CONTENT_ENCODING, gzip);
                answer
            }
            Content::Environment => typed("text/plain", act::environment()),
            Content::Read(path) => told("application/octet-stream", act::read(path)),
            Content::Stat(path) => told("application/json", act::stat(path)),
            Content::Write(path) => {
                let content = collect(request).await?;
                told("application/json", act::write(path, &content))
            }
            Content::Counts(mark) => typed("application/json", self.counts.read(mark).to_string()),
        })
    }

    async fn describe(&self, request: Request<Incoming>) -> io::Result<String> {
        let (parts, mut body) = request.into_parts();
        let (mut length, mut hash) = (0, Sha256::new());
        let mut trailers = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(io::Error::other)?;
            if let Some(data) = frame.data_ref() {
                length += data.len();
                hash.update(data);
            }
            if let Some(fields) = frame.trailers_ref() {
                trailers.extend(fields.iter().map(pair));
            }
        }
        let digest: String = hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let headers: Vec<_> = parts.headers.iter().map(pair).collect();
        let description = json!({
            "method": parts.method.as_str(),
            "path": parts.uri.path(),
            "query": parts.uri.query(),
            "version": format!("{:?}", parts.version),
            "headers": headers,
            "trailers": trailers,
            "length": length,
            "sha256": digest,
            "replica": self.replica,
        });
        Ok(description.to_string())
    }
}

impl Piece {
    fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain",
            Self::Event => "text/event-stream",
            Self::Line => "application/x-ndjson",
        }
    }
}

fn pair<N: ToString>((name, value): (N, &HeaderValue)) -> [String; 2] {
    let value = String::from_utf8_lossy(value.as_bytes());
    [name.to_string(), value.into_owned()]
}

fn echo(request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let data = BodyStream::new(body).filter_map(|frame| async {
        match frame {
            Ok(frame) => frame.into_data().ok().map(Ok),
            Err(error) => Some(Err(io::Error::other(error))),
        }
    });
    let mut answer = Response::new(streamed(Box::pin(data), Default::default(), false));
    for name in [CONTENT_TYPE, CONTENT_LENGTH] {
        if let Some(value) = parts.headers.get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    answer
}

async fn collect(request: Request<Incoming>) -> io::Result<Bytes> {
    let limited = http_body_util::Limited::new(request.into_body(), LONGEST);
    let body = limited.collect().await.map_err(io::Error::other)?;
    Ok(body.to_bytes())
}

/// Status, headers and all that does not depend on the content.
fn dress(probe: &Probe, wish: Wish, mut answer: Response<Body>) -> Response<Body> {
    if let Some(destination) = &probe.destination {
        *answer.status_mut() = StatusCode::FOUND;
        answer.headers_mut().insert(LOCATION, destination.clone());
    }
    if let Some(status) = wish.status.and_then(|code| StatusCode::from_u16(code).ok()) {
        *answer.status_mut() = status;
    }
    let headers = answer.headers_mut();
    if wish.without_type || wish.headers.iter().any(|(name, _)| name == CONTENT_TYPE) {
        headers.remove(CONTENT_TYPE);
    }
    for (name, value) in wish.headers {
        headers.append(name, value);
    }
    for name in wish.trailers.keys() {
        headers.append(TRAILER, HeaderValue::from(name.clone()));
    }
    answer
}

fn told<T: Into<Bytes>>(kind: &'static str, outcome: Result<T, String>) -> Response<Body> {
    match outcome {
        Ok(content) => typed(kind, content),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

fn typed(kind: &'static str, content: impl Into<Bytes>) -> Response<Body> {
    with_type(whole(content), kind)
}

fn with_type(body: Body, kind: &'static str) -> Response<Body> {
    let mut answer = Response::new(body);
    let kind = HeaderValue::from_static(kind);
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut answer = typed("text/plain", text);
    *answer.status_mut() = status;
    answer
}
