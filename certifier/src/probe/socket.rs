//! A WebSocket that sends back what it is sent (RFC 6455).

use futures_util::{SinkExt, StreamExt};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::answer::{Body, whole};

/// The answer with which the connection becomes a WebSocket; `None` if the call does not ask for one.
pub(super) fn accepted(request: &mut Request<Incoming>) -> Option<Response<Body>> {
    let wanted = request.headers().get(UPGRADE)?.as_bytes();
    if !wanted.eq_ignore_ascii_case(b"websocket") {
        return None;
    }
    let key = request.headers().get(SEC_WEBSOCKET_KEY)?.as_bytes();
    let accept = HeaderValue::from_str(&derive_accept_key(key)).ok()?;
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        if let Ok(connection) = upgrade.await {
            // Its end is the other side's business.
            let _ = echo(connection).await;
        }
    });
    let mut answer = Response::new(whole(""));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Some(answer)
}

/// Message by message until the other side closes; pings are answered on the way.
async fn echo(connection: Upgraded) -> Result<(), Error> {
    let connection = TokioIo::new(connection);
    let mut socket = WebSocketStream::from_raw_socket(connection, Role::Server, None).await;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}
