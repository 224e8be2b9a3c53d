//! WebSocket frames through gateway, provider and watchdog, and back.

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::servers::Server;
use crate::support::{Local, soon};
use crate::{platform, stack_file};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn deployed() -> Local {
    let local = platform().await;
    stack_file::deploy(&local, "websocket-echo").await;
    local
}

async fn opened(server: &str) -> Socket {
    let url = server.replace("http://", "ws://") + "/function/websocket-echo/room?x=1";
    let (socket, response) = soon("the handshake", connect_async(url)).await.unwrap();
    assert_eq!(response.status().as_u16(), 101);
    socket
}

async fn next(socket: &mut Socket) -> Message {
    soon("a message", socket.next()).await.unwrap().unwrap()
}

async fn said_back(socket: &mut Socket, message: Message) {
    socket.send(message.clone()).await.unwrap();
    assert!(next(socket).await == message, "another message came back");
}

#[tokio::test]
async fn messages_come_back_as_they_were_whatever_their_kind_and_size() {
    let local = deployed().await;
    let mut socket = opened(&local.url).await;
    for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        said_back(&mut socket, Message::text("ü".repeat(size / 2))).await;
        let bytes: Vec<u8> = (0..=255).cycle().take(size).collect();
        said_back(&mut socket, Message::binary(bytes)).await;
    }
    socket.close(None).await.unwrap();
    assert!(matches!(next(&mut socket).await, Message::Close(None)));
}

#[tokio::test]
async fn a_ping_is_answered_between_the_pieces_of_a_message() {
    let local = deployed().await;
    let mut socket = opened(&local.url).await;
    let piece = |kind, text: &'static str, last| {
        Message::Frame(Frame::message(text, OpCode::Data(kind), last))
    };
    socket.send(piece(Data::Text, "one ", false)).await.unwrap();
    socket
        .send(Message::Ping("still there?".into()))
        .await
        .unwrap();
    assert!(next(&mut socket).await == Message::Pong("still there?".into()));
    socket
        .send(piece(Data::Continue, "two", true))
        .await
        .unwrap();
    assert!(next(&mut socket).await == Message::text("one two"));
}

#[tokio::test]
async fn a_close_comes_back_with_its_code_and_the_connection_ends() {
    let local = deployed().await;
    let mut socket = opened(&local.url).await;
    let reason = CloseFrame {
        code: CloseCode::Library(4000),
        reason: "enough".into(),
    };
    socket.close(Some(reason)).await.unwrap();
    let Message::Close(Some(answer)) = next(&mut socket).await else {
        panic!("no close came back");
    };
    assert_eq!(answer.code, CloseCode::Library(4000));
    assert!(soon("the end", socket.next()).await.is_none());
}

#[tokio::test]
async fn who_breaks_the_rules_is_told_which_one() {
    let local = deployed().await;
    let continuation = Frame::message("of nothing", OpCode::Data(Data::Continue), true);
    let latin1 = Frame::message(&b"gr\xfc\xdfe"[..], OpCode::Data(Data::Text), true);
    let long = Frame::message(vec![0; (4 << 20) + 1], OpCode::Data(Data::Binary), true);
    for (frame, code) in [
        (continuation, CloseCode::Protocol),
        (latin1, CloseCode::Invalid),
        (long, CloseCode::Size),
    ] {
        let mut socket = opened(&local.url).await;
        socket.send(Message::Frame(frame)).await.unwrap();
        match soon("a close", socket.next()).await {
            Some(Ok(Message::Close(Some(answer)))) => assert_eq!(answer.code, code),
            other => panic!("{code:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_stops_says_goodbye_and_ends_when_the_caller_has_answered() {
    let mut server = Server::start(&["/usr/bin/python3", "samples/websocket-echo/server.py"]);
    let mut socket = opened(&format!("http://127.0.0.1:{}", server.port)).await;
    said_back(&mut socket, Message::text("hello")).await;
    server.terminate();
    let Message::Close(Some(goodbye)) = next(&mut socket).await else {
        panic!("no goodbye");
    };
    assert_eq!(goodbye.code, CloseCode::Away);
    assert!(soon("the end", socket.next()).await.is_none());
    assert!(server.ended().success());
}

#[tokio::test]
async fn a_replica_that_stops_passes_the_goodbye_on() {
    let local = deployed().await;
    let mut socket = opened(&local.url).await;
    said_back(&mut socket, Message::text("hello")).await;
    local.scale("websocket-echo", 0).await;
    let Message::Close(Some(goodbye)) = next(&mut socket).await else {
        panic!("no goodbye");
    };
    assert_eq!(goodbye.code, CloseCode::Away);
}
