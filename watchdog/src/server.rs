//! Serving HTTP/1.1, and HTTP/2 for callers who begin with it, on a listener: timeouts, limits, and the drain.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use faas_http::forward::Tunnel;
use faas_http::http2::{self, Calls};
use faas_http::{Opening, Replayed};
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::answer::{self, Response};
use crate::connection::{Answering, Connection, WriteDeadline};
use crate::hang_up::{Caller, Over, Watch, Watched};
use crate::workers::{Seat, Workers};

/// Longest request line and headers; more is answered 431.
pub(crate) const HEADER_LIMIT_BYTES: usize = 1024 * 1024 + 4096;

/// Most headers of a request; more is answered 431. The library sets aside 64 bytes for each, for every request.
const MOST_HEADERS: usize = 1000;

/// Pause after a failed accept (out of descriptors, say), so that the failure does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where callers are served, and how patient to be with them.
pub(crate) struct Server<'a> {
    /// Where connections are served. They outlive the server as its tunnels do.
    pub(crate) workers: &'a mut Workers,
    /// For the headers of a request, and between two requests.
    pub(crate) read_timeout: Option<Duration>,
    /// From the end of the headers to the last byte of the answer.
    pub(crate) write_timeout: Option<Duration>,
    /// Tunnels end when the sender is gone, not with the server; nobody waits for them.
    pub(crate) tunnels: watch::Receiver<()>,
}

/// Both ends of a connection, as an extension of each request on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// Which worker serves it.
    pub(crate) worker: usize,
}

impl Server<'_> {
    /// Serves who comes to the listener until `stop` ends, then closes it and waits for the requests in flight, at most
    /// `drain`.
    ///
    /// Says how many connections were cut off then.
    pub(crate) async fn run<H, F>(
        mut self,
        listener: TcpListener,
        handler: H,
        stop: impl Future<Output = ()>,
        drain: Option<Duration>,
    ) -> usize
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let (closing, closed) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.seat(&mut connections, stream, &handler, &closed),
                    Err(error) => {
                        log!("Error accepting a connection: {error}");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        faas_http::close(listener, |stream, _| {
            self.seat(&mut connections, stream, &handler, &closed);
        })
        .await;
        closing.send_replace(true);
        let all = async { while connections.join_next().await.is_some() {} };
        match drain {
            None => all.await,
            Some(limit) => drop(timeout(limit, all).await),
        }
        let left = connections.len();
        connections.shutdown().await;
        left
    }

    /// Serves a connection at the worker that has the most room for it.
    fn seat<H, F>(
        &mut self,
        connections: &mut JoinSet<()>,
        stream: TcpStream,
        handler: &H,
        closed: &watch::Receiver<bool>,
    ) where
        H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let seat = self.workers.seat();
        let runtime = seat.runtime.clone();
        let connection = self.serve(stream, seat, handler.clone(), closed.clone());
        connections.spawn_on(connection, &runtime);
    }

    /// One connection, until it ends or, once `closed`, is idle.
    fn serve<H, F>(
        &self,
        stream: TcpStream,
        seat: Seat,
        handler: H,
        mut closed: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + use<H, F>
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let (read, write) = (self.read_timeout, self.write_timeout);
        let tunnels = self.tunnels.clone();
        async move {
            let Ok((stream, ends)) = prepare(stream, &seat) else {
                return;
            };
            let handler = move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(ends);
                handler(request)
            };
            let deadline = WriteDeadline::default();
            let io = Connection::new(stream, deadline.clone());
            let caller = Caller::at(io.downgrade());
            let opened = tokio::select! {
                opened = in_time(read, Opening::of(io)) => opened,
                // Nobody has said anything yet.
                _ = closed.wait_for(|closed| *closed) => return,
            };
            match opened {
                Some(Ok(Opening::Http1(io))) => {
                    let calls = OneByOne {
                        handler,
                        caller,
                        deadline,
                        limit: write,
                        tunnels,
                    };
                    calls.serve(io, read, closed).await;
                }
                Some(Ok(Opening::Http2(io))) => {
                    serve_http2(io, handler, read, write, closed).await;
                }
                Some(Err(_)) | None => {}
            }
        }
    }
}

async fn in_time<T>(limit: Option<Duration>, future: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}

/// Calls that share a connection. The deadline of each is its own: a call that is late is reset, the others go on.
async fn serve_http2<H, F>(
    io: Replayed<Connection>,
    handler: H,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    mut closed: watch::Receiver<bool>,
) where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (mut head, body) = request.into_parts();
        http2::write_host(&mut head);
        let answer = Box::pin(handler(Request::from_parts(head, body)));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let closing = async { drop(closed.wait_for(|closed| *closed).await) };
    let calls = Calls::new(write_timeout);
    let _ = http2::serve(TokioIo::new(io), service, calls, read_timeout, closing).await;
}

/// Calls that follow each other on a connection.
struct OneByOne<H> {
    handler: H,
    caller: Caller,
    deadline: WriteDeadline,
    limit: Option<Duration>,
    tunnels: watch::Receiver<()>,
}

impl<H, F> OneByOne<H>
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    async fn serve(
        self,
        io: Replayed<Connection>,
        read_timeout: Option<Duration>,
        mut closed: watch::Receiver<bool>,
    ) {
        let service = service_fn(move |request| {
            // In a box, or several kilobytes would be copied each time that it is handed on.
            let answer = Box::pin(self.answer(request));
            let (deadline, tunnels) = (self.deadline.clone(), self.tunnels.clone());
            async move {
                answer
                    .await
                    .map(|answer| opened(answer, &deadline, tunnels))
            }
        });
        let mut connection = std::pin::pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(read_timeout)
                .max_buf_size(HEADER_LIMIT_BYTES)
                .max_headers(MOST_HEADERS)
                // Header names look as they always did: scripts search answers for `X-Duration-Seconds`.
                .title_case_headers(true)
                .serve_connection(TokioIo::new(io), service)
                .with_upgrades()
        );
        tokio::select! {
            _ = &mut connection => return,
            _ = closed.wait_for(|closed| *closed) => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }

    /// The handler's answer, or the end of the connection, where the caller is gone or it takes too long. Dropped when the
    /// library notices the former first.
    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<http::Response<Watched>, Over>> + use<H, F> {
        let (caller, deadline, limit) = (self.caller.clone(), self.deadline.clone(), self.limit);
        let handled = (self.handler)(request);
        async move {
            let now = Instant::now();
            let end = limit.and_then(|limit| now.checked_add(limit));
            deadline.set(end);
            let mut watch = Watch::over(caller, now, end);
            let response = tokio::select! {
                biased;
                response = handled => response,
                over = watch.seen() => return Err(over),
            };
            watch.answered();
            Ok(Watched::answer(response, watch, Answering(deadline)))
        }
    }
}

/// The connection as one of this thread's, where another may have accepted it.
fn prepare(stream: TcpStream, seat: &Seat) -> io::Result<(TcpStream, Ends)> {
    let stream = TcpStream::from_std(stream.into_std()?)?;
    stream.set_nodelay(true)?;
    let canonical =
        |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let ends = Ends {
        local: canonical(stream.local_addr()?),
        remote: canonical(stream.peer_addr()?),
        worker: seat.worker,
    };
    Ok((stream, ends))
}

/// Runs the tunnel of an answer, if it has one, which no deadline ends. Its body is kept meanwhile: the call goes on.
fn opened(
    mut response: http::Response<Watched>,
    deadline: &WriteDeadline,
    mut open: watch::Receiver<()>,
) -> http::Response<Watched> {
    let Some(tunnel) = Tunnel::of(&mut response) else {
        return response;
    };
    let (head, call) = response.into_parts();
    let mut switching = Watched::unwatched(answer::empty(head.status));
    *switching.headers_mut() = head.headers;
    deadline.set(None);
    tokio::spawn(async move {
        tokio::select! {
            () = tunnel.run() => {}
            _ = open.changed() => {}
        }
        drop(call);
    });
    switching
}
