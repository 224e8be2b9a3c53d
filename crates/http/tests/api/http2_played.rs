//! An upstream that speaks HTTP/2 in the clear, played by the library underneath.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::support::{ANY_PORT, soon};

/// An upstream that speaks nothing but HTTP/2. What it does is said by the path.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    /// What was done, in words.
    pub(crate) done: mpsc::UnboundedReceiver<String>,
    connections: Arc<AtomicUsize>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (doing, done) = mpsc::unbounded_channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, number, doing.clone()));
            }
        });
        Self {
            address,
            done,
            connections,
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) async fn did(&mut self) -> String {
        soon("the upstream to do something", self.done.recv())
            .await
            .unwrap()
    }
}

pub(crate) async fn serve(stream: TcpStream, number: usize, doing: mpsc::UnboundedSender<String>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut calls = 0;
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        calls += 1;
        match request.uri().path() {
            "/refused" if calls < 3 => respond.send_reset(Reason::REFUSED_STREAM),
            "/always-refused" => {
                let _ = doing.send("refused".to_owned());
                respond.send_reset(Reason::REFUSED_STREAM);
            }
            "/last" => {
                connection.graceful_shutdown();
                answer(respond, format!("{number}"));
            }
            _ => drop(tokio::spawn(act(request, respond, doing.clone()))),
        }
    }
}

fn answer(mut respond: SendResponse<Bytes>, text: String) {
    let mut body = respond.send_response(Response::new(()), false).unwrap();
    body.send_data(text.into(), true).unwrap();
}

async fn act(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    doing: mpsc::UnboundedSender<String>,
) {
    let (head, mut asked) = request.into_parts();
    match head.uri.path() {
        "/head" => answer(
            respond,
            format!("{} {} {:?}", head.method, head.uri, head.headers),
        ),
        "/half" => {
            let mut body = respond.send_response(Response::new(()), false).unwrap();
            body.send_data("half".into(), false).unwrap();
            let _ = asked.data().await;
            body.send_reset(Reason::INTERNAL_ERROR);
        }
        "/short" => {
            let answer = Response::builder().header("content-length", 9);
            let mut body = respond
                .send_response(answer.body(()).unwrap(), false)
                .unwrap();
            body.send_data("half".into(), false).unwrap();
            let _ = asked.data().await;
            body.send_reset(Reason::NO_ERROR);
        }
        "/hang" => {
            let _ = doing.send("hangs".to_owned());
            let reason = poll_fn(|cx| respond.poll_reset(cx)).await;
            let _ = doing.send(format!("{:?}", reason.unwrap()));
        }
        "/endless" => {
            let mut body = respond.send_response(Response::new(()), false).unwrap();
            let mut sent = 0;
            loop {
                body.reserve_capacity(16 * 1024);
                match poll_fn(|cx| body.poll_capacity(cx)).await {
                    Some(Ok(room)) => {
                        body.send_data(vec![b'x'; room].into(), false).unwrap();
                        sent += room;
                        let _ = doing.send(sent.to_string());
                    }
                    _ => return drop(doing.send("reset".to_owned())),
                }
            }
        }
        _ => echo(&mut asked, &mut respond).await,
    }
}

/// Sends back piece by piece, and the trailers at the end.
async fn echo(asked: &mut RecvStream, respond: &mut SendResponse<Bytes>) {
    let answer = Response::builder().header("content-type", "application/grpc");
    let mut body = respond
        .send_response(answer.body(()).unwrap(), false)
        .unwrap();
    while let Some(Ok(piece)) = asked.data().await {
        asked.flow_control().release_capacity(piece.len()).unwrap();
        body.send_data(piece, false).unwrap();
    }
    let mut trailers = asked.trailers().await.unwrap().unwrap_or_default();
    trailers.insert("grpc-status", 0.into());
    body.send_trailers(trailers).unwrap();
}
