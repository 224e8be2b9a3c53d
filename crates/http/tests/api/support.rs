//! A forwarding hop between a caller and upstreams that the tests play by hand, byte for byte.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use faas_http::Server;
use faas_http::forward::{Failure, Forwarder, Manner, Protocol, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub(crate) const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Fails a test that waits for something that never comes.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(20), future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    soon(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Lets time pass for everybody in this test, without waiting for it.
pub(crate) async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// One end of a connection, played by hand.
pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    /// One that was made while nothing else ran on this thread.
    pub(crate) fn from(stream: std::net::TcpStream) -> Self {
        stream.set_nonblocking(true).unwrap();
        Self::over(TcpStream::from_std(stream).unwrap())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon("room to send", self.stream.write_all(bytes.as_ref()))
            .await
            .unwrap();
    }

    /// Sends what the other side may have stopped reading.
    pub(crate) async fn offer(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = soon("room to send", self.stream.write_all(bytes.as_ref())).await;
    }

    /// Everything up to and with `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let end = end.as_bytes();
        loop {
            let found = self
                .unread
                .windows(end.len())
                .position(|window| window == end);
            if let Some(at) = found {
                let taken: Vec<u8> = self.unread.drain(..at + end.len()).collect();
                return String::from_utf8_lossy(&taken).into_owned();
            }
            let got = self.more().await;
            assert!(
                got > 0,
                "the connection ended after {:?}",
                String::from_utf8_lossy(&self.unread)
            );
        }
    }

    /// The line and headers of a request or response.
    pub(crate) async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    /// One chunk of a chunked body, without its frame; empty for the last one.
    pub(crate) async fn chunk(&mut self) -> String {
        let size = usize::from_str_radix(self.until("\r\n").await.trim_end(), 16).unwrap();
        let chunk = self.bytes(size).await;
        self.until("\r\n").await;
        String::from_utf8(chunk).unwrap()
    }

    pub(crate) async fn send_chunk(&mut self, text: &str) {
        self.send(format!("{:x}\r\n{text}\r\n", text.len())).await;
    }

    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            let got = self.more().await;
            assert!(
                got > 0,
                "the connection ended {} bytes early",
                count - self.unread.len()
            );
        }
        self.unread.drain(..count).collect()
    }

    pub(crate) async fn text(&mut self, count: usize) -> String {
        String::from_utf8(self.bytes(count).await).unwrap()
    }

    /// Whatever comes until the other side closes or resets the connection.
    pub(crate) async fn rest(&mut self) -> String {
        while matches!(self.try_more().await, Ok(1..)) {}
        String::from_utf8_lossy(&std::mem::take(&mut self.unread)).into_owned()
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Waits for the other side's end; nothing else may come before.
    pub(crate) async fn closed(&mut self) {
        assert_eq!(self.rest().await, "");
    }

    /// Sends as much as fits while nobody reads, at most `limit` bytes; says how much it was.
    pub(crate) async fn fill(&mut self, limit: usize) -> usize {
        static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];
        let mut sent = 0;
        while sent < limit {
            // Full is when nothing more fits for as long as loopback needs to move on many times over.
            let write = self.stream.write(&PIECE);
            match tokio::time::timeout(Duration::from_millis(500), write).await {
                Ok(count) => sent += count.unwrap(),
                Err(_) => break,
            }
        }
        sent
    }

    async fn more(&mut self) -> usize {
        self.try_more().await.unwrap()
    }

    async fn try_more(&mut self) -> std::io::Result<usize> {
        soon("bytes", self.stream.read_buf(&mut self.unread)).await
    }
}

/// Somebody to forward to, who does what the test says.
pub(crate) struct Played {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Played {
    pub(crate) async fn start() -> Self {
        Self::at(TcpListener::bind(ANY_PORT).await.unwrap())
    }

    /// One with a listener of the test's own making.
    pub(crate) fn at(listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    pub(crate) async fn accept(&self) -> Wire {
        Wire::over(
            soon("a connection", self.listener.accept())
                .await
                .unwrap()
                .0,
        )
    }

    /// Accepts a connection and reads the head of its first request.
    pub(crate) async fn request(&self) -> (Wire, String) {
        let mut wire = self.accept().await;
        let head = wire.head().await;
        (wire, head)
    }
}

/// An address where nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    Played::start().await.address
}

/// How a hop forwards.
#[derive(Clone, Copy, Default)]
pub(crate) struct Limits {
    pub(crate) answer: Option<Duration>,
    pub(crate) silence: Option<Duration>,
    pub(crate) drain: Option<Duration>,
    pub(crate) protocol: Protocol,
    /// Of the server: for headers, and between calls.
    pub(crate) idle: Option<Duration>,
}

/// A server that forwards everything.
pub(crate) struct Hop {
    pub(crate) address: SocketAddr,
    pub(crate) upstreams: Vec<Arc<Upstream>>,
    failures: mpsc::UnboundedReceiver<Failure>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl Hop {
    /// A hop without limits before one upstream.
    pub(crate) async fn before(upstream: &Played) -> Self {
        Self::start(&[upstream.address], Limits::default()).await
    }

    pub(crate) async fn start(upstreams: &[SocketAddr], limits: Limits) -> Self {
        let upstreams: Vec<_> = upstreams.iter().map(|address| upstream(*address)).collect();
        let (failed, failures) = mpsc::unbounded_channel();
        let manner = Manner {
            protocol: limits.protocol,
            ..Manner::default()
        };
        let forwarder = Forwarder::in_manner(limits.silence, manner);
        let targets = upstreams.clone();
        let app = Router::new().fallback(move |request: Request| {
            forward(
                forwarder.clone(),
                targets.clone(),
                request,
                limits.answer,
                failed.clone(),
            )
        });
        let server = Server::bind(ANY_PORT, app)
            .await
            .unwrap()
            .header_timeout(limits.idle)
            .drain(limits.drain);
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            server.run(async { drop(stopped.await) }).await.unwrap();
        });
        Self {
            address,
            upstreams,
            failures,
            stop: Some(stop),
            server,
        }
    }

    /// A caller that has sent these bytes.
    pub(crate) async fn call(&self, bytes: impl AsRef<[u8]>) -> Wire {
        let mut caller = Wire::to(self.address).await;
        caller.send(bytes).await;
        caller
    }

    /// Why the last call got no answer.
    pub(crate) async fn failure(&mut self) -> Failure {
        soon("a failure", self.failures.recv()).await.unwrap()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.upstreams
            .iter()
            .map(|upstream| upstream.in_flight())
            .sum()
    }

    /// Tells the server to stop.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until the server has stopped.
    pub(crate) async fn stopped(self) {
        soon("the server to stop", self.server).await.unwrap();
    }
}

pub(crate) fn upstream(address: SocketAddr) -> Arc<Upstream> {
    Upstream::new(address.to_string(), address.to_string().parse().unwrap())
}

async fn forward(
    forwarder: Forwarder,
    upstreams: Vec<Arc<Upstream>>,
    request: Request,
    limit: Option<Duration>,
    failed: mpsc::UnboundedSender<Failure>,
) -> Response<Body> {
    let target = request.uri().path_and_query().unwrap().to_string();
    match forwarder.forward(request, &upstreams, &target, limit).await {
        Ok(response) => response,
        Err(failure) => {
            let answer = (failure.status(), failure.to_caller("limit")).into_response();
            let _ = failed.send(failure);
            answer
        }
    }
}

/// The value of a header in a head, whatever the case of its name.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}
