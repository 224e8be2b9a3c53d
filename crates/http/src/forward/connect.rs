//! Opening connections to upstreams, and those shared by calls of HTTP/2, which know whether they have served one before.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::uri::{self, Authority, PathAndQuery, Scheme};
use http::{Extensions, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;

use super::lost::Lost;

/// How often the other side of a quiet connection is asked, by its system, whether it is still there.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Whether a connection has served a call. Travels with each answer, and with each failure, that came over it.
#[derive(Clone, Debug, Default)]
pub(super) struct Served(Arc<AtomicBool>);

impl Served {
    /// Notes that an answer came over the connection.
    pub(super) fn note(answer: &Extensions) {
        if let Some(served) = answer.get::<Self>() {
            served.0.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the connection had served a call before this one failed.
    pub(super) fn before(connection: Option<&Connected>) -> bool {
        let mut extras = Extensions::new();
        if let Some(connection) = connection {
            connection.get_extras(&mut extras);
        }
        let served = extras.get::<Self>();
        served.is_some_and(|served| served.0.load(Ordering::Relaxed))
    }
}

/// Opens connections.
#[derive(Clone, Debug)]
pub(super) struct Connector(HttpConnector);

impl Connector {
    /// A connector that gives a connection up after `timeout`, and one whose other side acknowledges nothing for `silence`:
    /// neither what was sent nor, where nothing is on its way (the call is being worked on, or there is none), a probe.
    pub(super) fn new(timeout: Duration, silence: Duration) -> Self {
        let mut inner = HttpConnector::new();
        inner.set_connect_timeout(Some(timeout));
        inner.set_nodelay(true);
        inner.set_tcp_user_timeout(Some(silence));
        // Without probes only a connection that has something to send would be found out.
        inner.set_keepalive(Some(PROBE_INTERVAL));
        inner.set_keepalive_interval(Some(PROBE_INTERVAL));
        Self(inner)
    }

    /// Opens a connection.
    pub(super) async fn open(&self, authority: &Authority) -> Result<TokioIo<TcpStream>, Lost> {
        let mut uri = uri::Parts::default();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(authority.clone());
        uri.path_and_query = Some(PathAndQuery::from_static("/"));
        let uri = Uri::from_parts(uri).map_err(|error| Lost::Unreachable(error.into()))?;
        let opened = self.0.clone().call(uri).await;
        opened.map_err(|error| Lost::Unreachable(error.into()))
    }
}

impl Service<Uri> for Connector {
    type Response = Opened;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = BoxFuture<'static, Result<Opened, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let opening = self.0.call(uri);
        Box::pin(async move {
            Ok(Opened {
                stream: opening.await?,
                served: Served::default(),
            })
        })
    }
}

/// An open connection that calls share.
pub(super) struct Opened {
    stream: TokioIo<TcpStream>,
    served: Served,
}

impl Connection for Opened {
    fn connected(&self) -> Connected {
        self.stream.connected().extra(self.served.clone())
    }
}

impl Read for Opened {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl Write for Opened {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }
}

/// Whether a connection broke because its other side has gone without a word: its machine or the way there is lost.
pub(super) fn is_silence(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return matches!(
                error.kind(),
                io::ErrorKind::TimedOut
                    | io::ErrorKind::HostUnreachable
                    | io::ErrorKind::NetworkUnreachable
            );
        }
        cause = error.source();
    }
    false
}
