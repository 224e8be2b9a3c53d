//! Connections to upstreams: kept from call to call, and let go of.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::{ANY_PORT, Hop, Played, Wire, pass, until};

/// A hop whose first call has been answered: its caller, and the connection to the upstream that it came over.
async fn answered(played: &Played) -> (Hop, Wire, Wire) {
    let hop = Hop::before(played).await;
    let mut caller = hop.call("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (mut upstream, _) = played.request().await;
    upstream
        .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .await;
    caller.until("ok").await;
    (hop, caller, upstream)
}

/// One call of the hop, answered on this connection to the upstream.
async fn one(caller: &mut Wire, upstream: &mut Wire, call: &str, answer: &str) {
    caller.send(call).await;
    upstream.head().await;
    upstream.send(answer).await;
    caller.head().await;
}

#[tokio::test]
async fn whatever_is_answered_the_next_call_takes_the_same_connection() {
    let played = Played::start().await;
    let (_hop, mut caller, mut upstream) = answered(&played).await;

    let head = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
    let (sized, empty) = (
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
    );
    one(&mut caller, &mut upstream, head, sized).await;
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    one(&mut caller, &mut upstream, get, empty).await;
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    one(&mut caller, &mut upstream, get, chunked).await;
    upstream.send_chunk("a").await;
    upstream.send("0\r\n\r\n").await;
    caller.until("0\r\n\r\n").await;
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    caller.send(post).await;
    upstream.until("hi").await;
    upstream.send(empty).await;
    caller.head().await;
    one(&mut caller, &mut upstream, get, empty).await;
}

/// The caller sends all of its body before it reads anything, and there is more of an answer than fits anywhere.
#[tokio::test]
async fn an_upload_goes_on_while_its_answer_is_not_read() {
    const BYTES: usize = 4 * 1024 * 1024;
    let played = Played::start().await;
    let hop = Hop::before(&played).await;
    let call = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {BYTES}\r\n\r\n");
    let mut caller = hop.call(call).await;
    let (mut upstream, _) = played.request().await;
    upstream
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    caller.head().await;
    upstream.send("fffffff\r\n").await;
    upstream.fill(64 * 1024 * 1024).await;
    let sending = async { caller.send(vec![b'u'; BYTES]).await };
    let reading = async { upstream.bytes(BYTES).await };
    let ((), got) = tokio::join!(sending, reading);
    assert!(got.iter().all(|byte| *byte == b'u'));
}

#[tokio::test]
async fn a_connection_that_waited_too_long_is_closed() {
    let played = Played::start().await;
    let (_hop, _caller, mut upstream) = answered(&played).await;
    for _ in 0..25 {
        pass(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
    }
    upstream.closed().await;
}

/// A server that answers one call on a connection, or that is on its way down: what it has closed is not kept.
#[tokio::test]
async fn a_connection_that_the_upstream_closes_is_let_go_of() {
    let played = Played::start().await;
    let (_hop, _caller, mut upstream) = answered(&played).await;
    upstream.half_close().await;
    upstream.closed().await;
}

/// The queue of a server that accepts nobody new is full, so that opening a connection takes seconds; the one that it has is
/// free again at once.
#[tokio::test]
async fn a_call_takes_a_connection_that_becomes_free_while_another_is_being_opened() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(ANY_PORT).unwrap();
    let played = Played::at(socket.listen(1).unwrap());
    let hop = Hop::before(&played).await;
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut first = hop.call(get).await;
    let (mut upstream, _) = played.request().await;
    let _newcomers = fill_queue(played.address).await;

    let mut second = hop.call(get).await;
    until("the second call is under way", || hop.in_flight() == 2).await;
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    first.head().await;
    upstream.head().await;
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    second.head().await;
}

/// Connects until that takes longer than loopback does.
async fn fill_queue(address: SocketAddr) -> Vec<TcpStream> {
    let mut newcomers = Vec::new();
    let connect = || timeout(Duration::from_millis(300), TcpStream::connect(address));
    while let Ok(connected) = connect().await {
        newcomers.push(connected.unwrap());
    }
    newcomers
}
