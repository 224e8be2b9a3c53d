//! HTTP/2 in the clear: limits, and the calls that share a connection.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::bounds::Http2ServerConnExec;
use hyper::rt::{Executor, Read, Write};
use hyper::server::conn::http2;
use hyper::service::HttpService;
use hyper_util::rt::TokioTimer;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Most calls at once on a connection that a caller opens; more wait on their side.
pub(crate) const MOST_CALLS: u32 = 256;
/// Longest headers of a call or an answer, added up as RFC 9113, section 6.5.2 says; more is answered 431.
pub(crate) const HEADER_LIMIT_BYTES: u32 = 64 * 1024;
/// How much of one body is taken in before anybody reads it.
pub(crate) const WINDOW_BYTES: u32 = 64 * 1024;
/// The same for all bodies of a connection: so much that those nobody reads do not hold up the others.
pub(crate) const ALL_WINDOWS_BYTES: u32 = MOST_CALLS * WINDOW_BYTES;
/// How often the other side is asked whether it is still there, and how long it may take to say so.
pub(crate) const ALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// See [`ALIVE_INTERVAL`].
pub(crate) const ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection that is to end, and has no call left, may take to.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves one connection, with limits to what its caller can make it hold, until it ends. Once `closing`, or without a
/// call for as long as `idle`, it takes no more calls and ends with the last one.
///
/// # Errors
/// When the connection breaks, or what comes is no HTTP/2.
pub async fn serve<I, S>(
    io: I,
    service: S,
    calls: Calls,
    idle: Option<Duration>,
    closing: impl Future<Output = ()>,
) -> hyper::Result<()>
where
    I: Read + Write + Unpin,
    S: HttpService<Incoming>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::ResBody: 'static,
    <S::ResBody as Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    Calls: Http2ServerConnExec<S::Future, S::ResBody>,
{
    let _ended = calls.ended.clone().drop_guard();
    let mut builder = http2::Builder::new(calls.clone());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_CALLS)
        .max_header_list_size(HEADER_LIMIT_BYTES)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(ALL_WINDOWS_BYTES)
        .keep_alive_interval(ALIVE_INTERVAL)
        .keep_alive_timeout(ALIVE_TIMEOUT);
    let mut connection = pin!(builder.serve_connection(io, service));
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = closing => {}
        () = calls.idle(idle) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        ended = connection => ended,
        // The other side is asked before the end whether a call is on its way. It need not answer.
        () = calls.idle(Some(FAREWELL)) => Ok(()),
    }
}

/// Writes down as `Host` what HTTP/2 has beside the headers: those who come after look there.
pub fn write_host(head: &mut Parts) {
    if head.version != Version::HTTP_2 || head.headers.contains_key(HOST) {
        return;
    }
    let authority = head.uri.authority().map(|authority| authority.as_str());
    if let Some(Ok(host)) = authority.map(HeaderValue::from_str) {
        head.headers.insert(HOST, host);
    }
}

/// Whether a call is one of gRPC, which is made for HTTP/2 and cannot do without its trailers.
#[must_use]
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(http::header::CONTENT_TYPE);
    kind.is_some_and(|kind| {
        let kind = kind.as_bytes();
        // `application/grpc+proto` too, but not `application/grpc-web`, which is made for HTTP/1.
        let rest = kind
            .get(..16)
            .filter(|start| start.eq_ignore_ascii_case(b"application/grpc"));
        rest.is_some() && matches!(kind.get(16), None | Some(b'+' | b';' | b' '))
    })
}

/// The calls on one connection, each in a task of its own that ends with the connection at the latest.
#[derive(Clone, Debug)]
pub struct Calls {
    limit: Option<Duration>,
    open: Arc<watch::Sender<usize>>,
    ended: CancellationToken,
}

impl Calls {
    /// Calls that may take `limit` each, from their headers to the last byte of their answer. Then they are reset, and
    /// only they: the deadline of one must not end the others.
    #[must_use]
    pub fn new(limit: Option<Duration>) -> Self {
        Self {
            limit,
            open: Arc::new(watch::Sender::new(0)),
            ended: CancellationToken::new(),
        }
    }

    /// Ends when there has been no call for so long; never without a limit.
    async fn idle(&self, limit: Option<Duration>) {
        let Some(limit) = limit else {
            return std::future::pending().await;
        };
        let mut open = self.open.subscribe();
        loop {
            let _ = open.wait_for(|open| *open == 0).await;
            tokio::select! {
                () = tokio::time::sleep(limit) => return,
                _ = open.changed() => {}
            }
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Calls {
    fn execute(&self, call: F) {
        let open = Open::count(&self.open);
        let (limit, ended) = (self.limit, self.ended.clone());
        tokio::spawn(async move {
            let _open = open;
            // Dropping a call resets it.
            tokio::select! {
                () = call => {}
                () = over(limit) => {}
                () = ended.cancelled() => {}
            }
        });
    }
}

async fn over(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// Counts one call until it is dropped.
struct Open(Arc<watch::Sender<usize>>);

impl Open {
    fn count(open: &Arc<watch::Sender<usize>>) -> Self {
        open.send_modify(|open| *open += 1);
        Self(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_is_told_by_its_type() {
        for (kind, grpc) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("Application/GRPC; x=y", true),
            ("application/grpc-web", false),
            ("application/json", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(kind));
            assert_eq!(is_grpc(&headers), grpc, "{kind}");
        }
    }
}
