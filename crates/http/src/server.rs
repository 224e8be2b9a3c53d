//! A server as a value: bind it, run it, drain it.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::closing::close;
use crate::forward::Tunnel;
use crate::http2::{self, Calls};
use crate::linger::Lingering;
use crate::opening::{Opening, Replayed};

/// Longest request line and headers; more is answered 431. The original's figure.
const HEADER_LIMIT_BYTES: usize = 1024 * 1024 + 4096;

/// Most headers of a request; more is answered 431. The library sets aside 64 bytes for each, for every request.
const MOST_HEADERS: usize = 1000;

/// Pause after a failed accept (out of descriptors, say), so that the failure does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The address a request came from; every request that [`Server`] hands on carries it as an extension.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddr(pub SocketAddr);

/// A bound listener and the routes behind it. HTTP/1.1, and HTTP/2 for callers who begin with it; connections are kept.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: Router,
    header_timeout: Option<Duration>,
    drain: Option<Duration>,
}

impl Server {
    /// Takes the port. Port 0 takes a free one.
    ///
    /// # Errors
    /// When the port cannot be had; the error names the address.
    pub async fn bind(address: SocketAddr, app: Router) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        })?;
        Self::on(listener, app)
    }

    /// Serves on a listener that somebody else bound.
    ///
    /// # Errors
    /// When the listener is no usable socket.
    pub fn on(listener: TcpListener, app: Router) -> io::Result<Self> {
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            address,
            app,
            header_timeout: None,
            drain: None,
        })
    }

    /// Longest time for a request's line and headers to arrive, which is also how long an idle connection is kept.
    #[must_use]
    pub fn header_timeout(mut self, limit: Option<Duration>) -> Self {
        self.header_timeout = limit;
        self
    }

    /// Longest time that calls in flight get once the server stops, then their connections are cut; without it they get
    /// as long as they need.
    #[must_use]
    pub fn drain(mut self, limit: Option<Duration>) -> Self {
        self.drain = limit;
        self
    }

    /// The address that was taken.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` ends, then takes in whoever waits to be accepted, closes the port and idle connections,
    /// and waits for the calls in flight.
    /// Tunnels are not waited for: they end with the server. Nothing of it outlives this future: dropping it cuts all connections.
    ///
    /// # Errors
    /// None today; a listener that fails is tried again.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let Self {
            listener,
            app,
            header_timeout,
            drain,
            ..
        } = self;
        let connections = Connections::default();
        let _cut_at_the_end = connections.cut.clone().drop_guard();
        let mut shutdown = std::pin::pin!(shutdown);
        let serve = |stream, peer| connections.serve(stream, peer, app.clone(), header_timeout);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => serve(stream, peer),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        close(listener, serve).await;
        let drained = connections.drain();
        match drain {
            None => drained.await,
            Some(limit) => {
                if tokio::time::timeout(limit, drained).await.is_err() {
                    tracing::warn!(?limit, "calls were still in flight when the drain ended");
                }
            }
        }
        Ok(())
    }
}

/// All connections of a server.
#[derive(Default)]
struct Connections {
    tasks: TaskTracker,
    /// Idle ones are to close, the others after their call.
    closing: CancellationToken,
    /// All are to end now.
    cut: CancellationToken,
}

impl Connections {
    /// Serves one connection in a task of its own. A broken connection is the caller's business, not ours.
    fn serve(&self, stream: TcpStream, peer: SocketAddr, app: Router, limit: Option<Duration>) {
        let _ = stream.set_nodelay(true);
        let (closing, cut) = (self.closing.clone(), self.cut.clone());
        self.tasks.spawn(async move {
            let served = async {
                let opened = tokio::select! {
                    opened = in_time(limit, Opening::of(stream)) => opened,
                    // Nobody has said anything yet.
                    () = closing.cancelled() => return,
                };
                let ended = match opened {
                    Ok(Opening::Http1(io)) => http1(io, peer, app, limit, &closing, &cut).await,
                    Ok(Opening::Http2(io)) => {
                        let cut = cut.clone();
                        let answer = service_fn(move |request| {
                            answer(app.clone(), peer, request, cut.clone())
                        });
                        let (io, calls) = (TokioIo::new(io), Calls::new(None));
                        http2::serve(io, answer, calls, limit, closing.cancelled()).await
                    }
                    Err(error) => return tracing::debug!(%peer, %error, "no request came"),
                };
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "connection ended early");
                }
            };
            tokio::select! {
                () = served => {}
                () = cut.cancelled() => tracing::debug!(%peer, "connection cut"),
            }
        });
    }

    /// Closes idle connections and waits for the others.
    async fn drain(&self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn in_time<T>(
    limit: Option<Duration>,
    opening: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    match limit {
        Some(limit) => tokio::time::timeout(limit, opening).await?,
        None => opening.await,
    }
}

/// One connection, until it ends or, once `closing`, is idle.
async fn http1(
    io: Replayed<TcpStream>,
    peer: SocketAddr,
    app: Router,
    limit: Option<Duration>,
    closing: &CancellationToken,
    cut: &CancellationToken,
) -> hyper::Result<()> {
    let answer = service_fn(|request| answer(app.clone(), peer, request, cut.clone()));
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limit)
            // The buffer alone would let through what happens to arrive in one piece.
            .max_header_size(HEADER_LIMIT_BYTES)
            .max_headers(MOST_HEADERS)
            .max_buf_size(HEADER_LIMIT_BYTES)
            // Header names look as they always did; scripts that search a response for `X-Call-Id` find it.
            .title_case_headers(true)
            .serve_connection(TokioIo::new(io), answer)
            .with_upgrades()
    );
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = closing.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// Answers one request; a tunnel that it opens runs in a task of its own.
async fn answer(
    app: Router,
    peer: SocketAddr,
    request: hyper::Request<Incoming>,
    cut: CancellationToken,
) -> Result<Response<Body>, Infallible> {
    let (mut parts, body) = request.into_parts();
    http2::write_host(&mut parts);
    let body = Body::new(Lingering::new(&parts, body));
    let mut request = hyper::Request::from_parts(parts, body);
    request.extensions_mut().insert(PeerAddr(peer));
    let Ok(mut response) = app.oneshot(request).await;
    let Some(tunnel) = Tunnel::of(&mut response) else {
        return Ok(response);
    };
    let (parts, call) = response.into_parts();
    tokio::spawn(async move {
        tokio::select! {
            () = tunnel.run() => {}
            () = cut.cancelled() => tracing::debug!(%peer, "tunnel cut"),
        }
        // The body is what counts the call, in every layer that it passed.
        drop(call);
    });
    Ok(Response::from_parts(parts, Body::empty()))
}
