//! WebSocket and other upgrades: HTTP ends, a tunnel begins.

use faas_http::forward::Failure;

use crate::support::{Hop, Limits, Played, Wire, header, soon, until};

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: f\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n";
const GRANT: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\n";

/// Both ends of a tunnel through the hop.
async fn tunnel(hop: &Hop, upstream: &Played) -> (Wire, Wire) {
    let mut caller = hop.call(ASK).await;
    let (mut replica, _) = upstream.request().await;
    replica.send(GRANT).await;
    caller.head().await;
    (caller, replica)
}

#[tokio::test]
async fn a_websocket_passes_both_ways_and_counts_as_a_call_until_it_closes() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let mut caller = hop.call(ASK).await;
    let (mut replica, head) = upstream.request().await;
    assert_eq!(header(&head, "connection"), Some("Upgrade"));
    assert_eq!(header(&head, "upgrade"), Some("websocket"));
    assert_eq!(header(&head, "sec-websocket-key"), Some("k"));
    assert_eq!(header(&head, "transfer-encoding"), None);

    replica.send(GRANT).await;
    let head = caller.head().await;
    assert!(
        head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
        "{head}"
    );
    assert_eq!(header(&head, "connection"), Some("Upgrade"));
    assert_eq!(header(&head, "upgrade"), Some("websocket"));
    assert_eq!(header(&head, "sec-websocket-accept"), Some("a"));
    assert_eq!(header(&head, "transfer-encoding"), None);
    assert_eq!(header(&head, "content-length"), None);
    for turn in ["one", "two", "three"] {
        caller.send(turn).await;
        assert_eq!(replica.text(turn.len()).await, turn);
        replica.send(turn).await;
        assert_eq!(caller.text(turn.len()).await, turn);
    }
    assert_eq!(hop.in_flight(), 1);
    drop(caller);
    replica.closed().await;
    drop(replica);
    until("the call to be counted out", || hop.in_flight() == 0).await;
}

#[tokio::test]
async fn an_upgrade_is_recognised_however_it_is_written() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    for (asked, protocol) in [
        ("connection: UPGRADE\r\nupgrade: WebSocket", "WebSocket"),
        (
            "Connection: keep-alive,  Upgrade\r\nUpgrade: websocket",
            "websocket",
        ),
        (
            "Connection: x-y\r\nConnection: upgrade\r\nUpgrade: irc/6.9",
            "irc/6.9",
        ),
        (
            "Connection: Upgrade\r\nUpgrade: h2c, websocket",
            "websocket",
        ),
        (
            "Connection: Upgrade\r\nUpgrade: a/1\r\nUpgrade: b",
            "a/1, b",
        ),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: f\r\n{asked}\r\n\r\n");
        let mut caller = hop.call(request).await;
        let (mut replica, head) = upstream.request().await;
        assert_eq!(header(&head, "upgrade"), Some(protocol), "{asked}");
        let taken = protocol.split(", ").next().unwrap().to_uppercase();
        replica
            .send(format!(
                "HTTP/1.1 101 Yes\r\nconnection: upgrade\r\nupgrade: {taken}\r\n\r\nhi"
            ))
            .await;
        let head = caller.head().await;
        assert_eq!(header(&head, "upgrade"), Some(taken.as_str()), "{asked}");
        assert_eq!(caller.text(2).await, "hi");
    }
}

#[tokio::test]
async fn what_follows_a_head_at_once_is_not_lost() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let mut caller = hop.call(format!("{ASK}early bird")).await;
    let (mut replica, _) = upstream.request().await;
    replica.send(format!("{GRANT}at once")).await;
    assert_eq!(replica.text(10).await, "early bird");
    caller.head().await;
    assert_eq!(caller.text(7).await, "at once");
}

#[tokio::test]
async fn an_upstream_may_refuse_and_the_connection_stays_http() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let mut caller = hop.call(ASK).await;
    let (mut replica, _) = upstream.request().await;
    replica
        .send("HTTP/1.1 426 No\r\nContent-Length: 4\r\n\r\nnope")
        .await;
    let head = caller.head().await;
    assert!(head.starts_with("HTTP/1.1 426 "), "{head}");
    assert_eq!(caller.text(4).await, "nope");

    caller.send("GET /next HTTP/1.1\r\nHost: f\r\n\r\n").await;
    let head = replica.head().await;
    assert!(head.starts_with("GET /next "), "{head}");
    replica
        .send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert!(caller.head().await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn an_upgrade_may_come_with_a_body() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let mut caller = hop
        .call("POST / HTTP/1.1\r\nHost: f\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 4\r\n\r\nbody")
        .await;
    let (mut replica, _) = upstream.request().await;
    assert_eq!(replica.text(4).await, "body");
    replica
        .send("HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        .await;
    caller.head().await;
    caller.send("more").await;
    assert_eq!(replica.text(4).await, "more");
}

#[tokio::test]
async fn what_is_no_wish_for_an_upgrade_is_not_passed_on_as_one() {
    let upstream = Played::start().await;
    let mut hop = Hop::before(&upstream).await;
    for request in [
        "GET / HTTP/1.1\r\nHost: f\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: f\r\nConnection: upgrade\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: f\r\nConnection: upgrade\r\nUpgrade: \r\n\r\n",
        "GET / HTTP/1.0\r\nHost: f\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: f\r\nConnection: upgrade, http2-settings\r\nUpgrade: H2C\r\nHTTP2-Settings: x\r\n\r\n",
    ] {
        let mut caller = hop.call(request).await;
        let (mut replica, head) = upstream.request().await;
        for name in ["connection", "upgrade", "http2-settings"] {
            assert_eq!(header(&head, name), None, "{request}");
        }
        // An answer that nobody asked for.
        replica.send(GRANT).await;
        assert!(caller.head().await.contains(" 502 "), "{request}");
        assert!(matches!(hop.failure().await, Failure::Broken { .. }));
    }
}

#[tokio::test]
async fn an_upstream_that_switches_to_something_else_is_broken() {
    let upstream = Played::start().await;
    let mut hop = Hop::before(&upstream).await;
    for answer in [
        "HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        "HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\n\r\n",
    ] {
        let mut caller = hop.call(ASK).await;
        let (mut replica, _) = upstream.request().await;
        replica.send(answer).await;
        assert!(caller.head().await.starts_with("HTTP/1.1 502 "));
        assert!(matches!(hop.failure().await, Failure::Broken { .. }));
        replica.closed().await;
    }
    until("the calls to be counted out", || hop.in_flight() == 0).await;
}

#[tokio::test]
async fn whoever_leaves_the_other_side_learns_of_it_and_has_the_last_word() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let (mut caller, mut replica) = tunnel(&hop, &upstream).await;
    replica.send("bye").await;
    drop(replica);
    assert_eq!(caller.rest().await, "bye");
    drop(caller);
    until("the call to be counted out", || hop.in_flight() == 0).await;

    let (mut caller, mut replica) = tunnel(&hop, &upstream).await;
    caller.send("that is all").await;
    caller.half_close().await;
    assert_eq!(replica.rest().await, "that is all");
    replica.send("thanks").await;
    drop(replica);
    assert_eq!(caller.rest().await, "thanks");
    until("the call to be counted out", || hop.in_flight() == 0).await;
}

#[tokio::test]
async fn a_side_that_does_not_read_stops_the_other() {
    const A_LOT: usize = 256 * 1024 * 1024;
    const BUFFERS: usize = 64 * 1024 * 1024;
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let (mut caller, mut replica) = tunnel(&hop, &upstream).await;
    let sent = caller.fill(A_LOT).await;
    assert!(sent < BUFFERS, "{sent} bytes went somewhere");
    assert!(replica.bytes(sent).await.iter().all(|byte| *byte == b'x'));
}

#[tokio::test]
async fn a_tunnel_is_not_bound_by_the_limits_of_an_answer() {
    let upstream = Played::start().await;
    let brief = std::time::Duration::from_millis(100);
    let limits = Limits {
        answer: Some(brief),
        silence: Some(brief),
        ..Limits::default()
    };
    let hop = Hop::start(&[upstream.address], limits).await;
    let (mut caller, mut replica) = tunnel(&hop, &upstream).await;
    crate::support::pass(brief * 20).await;
    caller.send("still there?").await;
    assert_eq!(replica.text(12).await, "still there?");
}

#[tokio::test]
async fn a_drain_does_not_wait_for_tunnels_but_lets_them_live_as_long_as_it_takes() {
    let upstream = Played::start().await;
    let mut hop = Hop::before(&upstream).await;
    let (mut caller, mut replica) = tunnel(&hop, &upstream).await;
    let mut slow = hop.call("GET / HTTP/1.1\r\nHost: f\r\n\r\n").await;
    let (mut answering, _) = upstream.request().await;
    hop.stop();
    until("the port to be closed", || {
        std::net::TcpStream::connect(hop.address).is_err()
    })
    .await;
    caller.send("ping").await;
    assert_eq!(replica.text(4).await, "ping");

    answering
        .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .await;
    slow.head().await;
    assert_eq!(slow.text(2).await, "ok");
    soon("the server to stop", hop.stopped()).await;
    caller.closed().await;
    replica.closed().await;
}
