//! A caller who speaks HTTP/2 in the clear, played by the library underneath.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Request};
use tokio::net::TcpStream;

use crate::support::soon;

/// A caller's connection.
pub(crate) struct Caller(SendRequest<Bytes>);

impl Caller {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    /// Begins a call of gRPC.
    pub(crate) async fn call(&self, path: &str) -> (ResponseFuture, SendStream<Bytes>) {
        let request = Request::post(format!("http://fn.example:99{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        self.send(request.body(()).unwrap(), false).await
    }

    /// Begins any call.
    pub(crate) async fn send(
        &self,
        request: Request<()>,
        whole: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let mut sender = soon("room for a call", self.0.clone().ready())
            .await
            .unwrap();
        sender.send_request(request, whole).unwrap()
    }

    /// A call without a body; its answer's status, body and trailers.
    pub(crate) async fn get(&self, path: &str) -> (u16, String, HeaderMap) {
        let (answer, mut body) = self.call(path).await;
        body.send_data(Bytes::new(), true).unwrap();
        whole(answer).await
    }

    /// Whether the connection takes no more calls.
    pub(crate) async fn closed(&self) -> bool {
        self.0.clone().ready().await.is_err()
    }
}

/// All of an answer.
pub(crate) async fn whole(answer: ResponseFuture) -> (u16, String, HeaderMap) {
    let (head, mut body) = soon("an answer", answer).await.unwrap().into_parts();
    let mut text = Vec::new();
    while let Some(piece) = soon("the body", body.data()).await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        text.extend_from_slice(&piece);
    }
    let trailers = soon("the trailers", body.trailers()).await.unwrap();
    let text = String::from_utf8(text).unwrap();
    (head.status.as_u16(), text, trailers.unwrap_or_default())
}
