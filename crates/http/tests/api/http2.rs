//! HTTP/2 in the clear: callers who begin with it, and upstreams that speak it.

use std::time::Duration;

use bytes::Bytes;
use faas_http::forward::Protocol;
use h2::Reason;
use http::{HeaderMap, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::http2_caller::{Caller, whole};
use crate::http2_played::{Upstream, serve};
use crate::support::{ANY_PORT, Hop, Limits, Played, header, soon, until};

async fn hop(upstream: &Upstream) -> Hop {
    Hop::start(&[upstream.address], Limits::default()).await
}

fn spoken(protocol: Protocol) -> Limits {
    Limits {
        protocol,
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_call_of_grpc_passes_both_ways_with_its_trailers() {
    let upstream = Upstream::start().await;
    let hop = hop(&upstream).await;
    let (answer, mut asking) = Caller::to(hop.address).await.call("/echo").await;
    let (head, mut body) = soon("an answer", answer).await.unwrap().into_parts();
    assert_eq!(head.status, 200);
    for piece in ["one", "two"] {
        asking.send_data(piece.into(), false).unwrap();
        // Each comes back before the next is sent.
        let got = soon("a piece", body.data()).await.unwrap().unwrap();
        assert_eq!(got, piece);
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", 2.into());
    asking.send_trailers(trailers).unwrap();
    assert!(soon("the end", body.data()).await.is_none());
    let trailers = soon("trailers", body.trailers()).await.unwrap().unwrap();
    assert_eq!(trailers["x-sum"], "2");
    assert_eq!(trailers["grpc-status"], "0");
    until("the call has ended", || hop.in_flight() == 0).await;
}

#[tokio::test]
async fn many_calls_share_a_connection() {
    let upstream = Upstream::start().await;
    let hop = hop(&upstream).await;
    let caller = Caller::to(hop.address).await;
    let mut calls = Vec::new();
    for _ in 0..50 {
        let (answer, asking) = caller.call("/echo").await;
        calls.push((soon("an answer", answer).await.unwrap(), asking));
    }
    assert_eq!(hop.in_flight(), 50);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn headers_are_those_of_http_2() {
    let upstream = Upstream::start().await;
    let hop = hop(&upstream).await;
    let (_, seen, _) = Caller::to(hop.address).await.get("/head").await;
    let uri = format!("POST http://{}/head ", upstream.address);
    assert!(seen.starts_with(&uri), "{seen}");
    for header in [
        "\"te\": \"trailers\"",
        "\"x-forwarded-for\": \"127.0.0.1\"",
        "\"x-forwarded-host\": \"fn.example:99\"",
    ] {
        assert!(seen.contains(header), "{header}: {seen}");
    }
    for header in ["connection", "transfer-encoding", "\"host\""] {
        assert!(!seen.contains(header), "{header}: {seen}");
    }
}

#[tokio::test]
async fn other_calls_go_on_as_http_1() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let caller = Caller::to(hop.address).await;
    let request = Request::post("http://fn.example:99/a?b").body(()).unwrap();
    let (answer, mut asking) = caller.send(request, false).await;
    let (mut wire, head) = upstream.request().await;
    assert!(head.starts_with("POST /a?b HTTP/1.1\r\n"), "{head}");
    assert_eq!(header(&head, "X-Forwarded-Host"), Some("fn.example:99"));
    asking.send_data("hi".into(), true).unwrap();
    assert_eq!(wire.chunk().await, "hi");
    wire.send("HTTP/1.1 201 Created\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")
        .await;
    let (status, text, _) = whole(answer).await;
    assert_eq!((status, text.as_str()), (201, "ok"));
}

#[tokio::test]
async fn a_caller_of_http_1_reaches_an_upstream_of_http_2() {
    let upstream = Upstream::start().await;
    let hop = Hop::start(&[upstream.address], spoken(Protocol::Http2)).await;
    let mut caller = hop
        .call("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    let head = caller.head().await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    for piece in ["one", "two"] {
        caller.send_chunk(piece).await;
        assert_eq!(caller.chunk().await, piece);
    }
    caller.send("0\r\nX-Sum: 2\r\n\r\n").await;
    assert_eq!(caller.chunk().await, "");
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn trailers_pass_between_the_versions_where_they_are_announced() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let caller = Caller::to(hop.address).await;
    let request = Request::post("http://h/").header("te", "trailers");
    let (answer, mut asking) = caller.send(request.body(()).unwrap(), false).await;
    let (mut wire, _) = upstream.request().await;
    asking.send_data(Bytes::new(), true).unwrap();
    wire.send("HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    wire.send("2\r\nhi\r\n0\r\nX-Sum: 2\r\n\r\n").await;
    let (_, text, trailers) = whole(answer).await;
    assert_eq!(
        (text.as_str(), &trailers["x-sum"]),
        ("hi", &"2".parse().unwrap())
    );
}

#[tokio::test]
async fn a_reset_in_the_middle_is_no_end() {
    let upstream = Upstream::start().await;
    let hop = hop(&upstream).await;
    let (answer, mut asking) = Caller::to(hop.address).await.call("/half").await;
    let mut body = soon("an answer", answer).await.unwrap().into_body();
    assert_eq!(soon("a piece", body.data()).await.unwrap().unwrap(), "half");
    asking.send_data("go".into(), true).unwrap();
    let error = soon("the end", body.data()).await.unwrap().unwrap_err();
    assert!(error.is_reset(), "{error}");

    // And over HTTP/1 the connection is cut.
    let hop = Hop::start(&[upstream.address], spoken(Protocol::Http2)).await;
    let mut caller = hop
        .call("POST /half HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n")
        .await;
    caller.head().await;
    assert_eq!(caller.chunk().await, "half");
    caller.send("go").await;
    caller.closed().await;
}

#[tokio::test]
async fn a_caller_who_resets_a_call_ends_it_everywhere() {
    let mut upstream = Upstream::start().await;
    let hop = hop(&upstream).await;
    let caller = Caller::to(hop.address).await;
    let (_answer, mut asking) = caller.call("/hang").await;
    assert_eq!(upstream.did().await, "hangs");
    asking.send_reset(Reason::CANCEL);
    assert_eq!(upstream.did().await, "CANCEL");
    until("the call has ended", || hop.in_flight() == 0).await;
    // The connections live on.
    assert_eq!(caller.get("/echo").await.0, 200);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn a_caller_who_does_not_read_holds_the_upstream_up() {
    let mut upstream = Upstream::start().await;
    let hop = hop(&upstream).await;
    let caller = Caller::to(hop.address).await;
    let (answer, _asking) = caller.call("/endless").await;
    let answer = soon("an answer", answer).await.unwrap();
    let mut sent = 0;
    while let Ok(Some(more)) =
        tokio::time::timeout(Duration::from_millis(500), upstream.done.recv()).await
    {
        sent = more.parse().unwrap();
    }
    // The windows of two hops, and what is between them.
    assert!((1..1_000_000).contains(&sent), "{sent}");
    // Others are not held up by it.
    assert_eq!(caller.get("/echo").await.0, 200);
    drop(answer);
}

#[tokio::test]
async fn a_call_that_was_refused_unseen_is_made_again() {
    let mut upstream = Upstream::start().await;
    let mut hop = hop(&upstream).await;
    let caller = Caller::to(hop.address).await;
    let empty = |path: &str| {
        let request = Request::post(format!("http://h{path}"));
        request
            .header("content-type", "application/grpc")
            .body(())
            .unwrap()
    };
    let (answer, _) = caller.send(empty("/refused"), true).await;
    assert_eq!(whole(answer).await.0, 200);
    let (answer, _) = caller.send(empty("/always-refused"), true).await;
    assert_eq!(whole(answer).await.0, 502);
    hop.failure().await;
    for _ in 0..4 {
        assert_eq!(upstream.did().await, "refused");
    }
    assert!(upstream.done.try_recv().is_err());
}

#[tokio::test]
async fn a_call_that_came_too_late_for_its_connection_is_made_again() {
    let listener = TcpListener::bind(ANY_PORT).await.unwrap();
    let address = listener.local_addr().unwrap();
    let hop = Hop::start(&[address], Limits::default()).await;
    let caller = Caller::to(hop.address).await;
    let request = Request::post("http://h/echo").header("content-type", "application/grpc");
    let (answer, _) = caller.send(request.body(()).unwrap(), true).await;
    let (mut first, _) = soon("a connection", listener.accept()).await.unwrap();
    // Settings, and after the call has come GOAWAY: the last one looked at was 0.
    first.write_all(b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut seen = Vec::new();
    while !contains_headers(&seen) {
        assert!(soon("the call", first.read_buf(&mut seen)).await.unwrap() > 0);
    }
    let goaway = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";
    first.write_all(goaway).await.unwrap();
    let (second, _) = soon("another connection", listener.accept()).await.unwrap();
    tokio::spawn(serve(second, 1, mpsc::unbounded_channel().0));
    assert_eq!(whole(answer).await.0, 200);
}

/// Whether a frame with headers is among those after the preface.
fn contains_headers(bytes: &[u8]) -> bool {
    let mut frames = bytes.get(24..).unwrap_or_default();
    while let [a, b, c, kind, ..] = *frames {
        if kind == 1 {
            return true;
        }
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        frames = frames.get(9 + length..).unwrap_or_default();
    }
    false
}

#[tokio::test]
async fn a_reset_without_an_error_is_no_end_before_the_end() {
    let upstream = Upstream::start().await;
    let hop = hop(&upstream).await;
    let (answer, mut asking) = Caller::to(hop.address).await.call("/short").await;
    let mut body = soon("an answer", answer).await.unwrap().into_body();
    assert_eq!(soon("a piece", body.data()).await.unwrap().unwrap(), "half");
    asking.send_data("go".into(), true).unwrap();
    assert!(soon("the end", body.data()).await.unwrap().is_err());
}

#[tokio::test]
async fn an_upstream_that_goes_is_reached_anew() {
    let upstream = Upstream::start().await;
    let hop = hop(&upstream).await;
    let caller = Caller::to(hop.address).await;
    for number in ["0", "1", "2"] {
        let (status, text, _) = caller.get("/last").await;
        assert_eq!((status, text.as_str()), (200, number));
    }
}

#[tokio::test]
async fn an_upgrade_is_carried_by_http_1() {
    let upstream = Played::start().await;
    let hop = Hop::start(&[upstream.address], spoken(Protocol::Http2)).await;
    let ask = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let mut caller = hop.call(ask).await;
    let (mut wire, head) = upstream.request().await;
    assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
    wire.send("HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi")
        .await;
    assert!(caller.head().await.starts_with("HTTP/1.1 101"));
    assert_eq!(caller.text(2).await, "hi");
}

#[tokio::test]
async fn an_upstream_that_speaks_no_http_2_is_told_as_broken() {
    let upstream = Played::start().await;
    let mut hop = Hop::start(&[upstream.address], spoken(Protocol::Http2)).await;
    let mut caller = hop.call("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let mut wire = upstream.accept().await;
    wire.until("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    wire.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        .await;
    drop(wire);
    assert!(caller.head().await.starts_with("HTTP/1.1 502"));
    hop.failure().await;
}

#[tokio::test]
async fn headers_have_a_limit() {
    let upstream = Upstream::start().await;
    let hop = hop(&upstream).await;
    let caller = Caller::to(hop.address).await;
    let request = Request::get("http://h/head").header("x-big", "x".repeat(70_000));
    let (answer, _) = caller.send(request.body(()).unwrap(), true).await;
    assert_eq!(soon("an answer", answer).await.unwrap().status(), 431);
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn connections_without_calls_are_closed() {
    let upstream = Upstream::start().await;
    let limits = Limits {
        idle: Some(Duration::from_millis(300)),
        ..Limits::default()
    };
    let hop = Hop::start(&[upstream.address], limits).await;
    // One that has said nothing, one in the middle of its first words, and one between calls.
    for first in ["", "PRI * HT"] {
        let mut stream = TcpStream::connect(hop.address).await.unwrap();
        stream.write_all(first.as_bytes()).await.unwrap();
        assert_eq!(soon("the end", stream.read(&mut [0])).await.unwrap_or(0), 0);
    }
    let caller = Caller::to(hop.address).await;
    let (answer, mut asking) = caller.call("/echo").await;
    let mut body = soon("an answer", answer).await.unwrap().into_body();
    // Not while there is a call, however long it is silent.
    tokio::time::sleep(Duration::from_millis(900)).await;
    asking.send_data("late".into(), true).unwrap();
    assert_eq!(soon("a piece", body.data()).await.unwrap().unwrap(), "late");
    drop((body, asking));
    soon("the end of the connection", async {
        while !caller.closed().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_drain_waits_for_calls_and_takes_no_more() {
    let upstream = Upstream::start().await;
    let mut hop = hop(&upstream).await;
    let (idle, caller) = (Caller::to(hop.address).await, Caller::to(hop.address).await);
    let (answer, mut asking) = caller.call("/echo").await;
    let mut body = soon("an answer", answer).await.unwrap().into_body();
    hop.stop();
    soon("the idle connection to end", async {
        while !idle.closed().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    asking.send_data("last".into(), true).unwrap();
    assert_eq!(soon("a piece", body.data()).await.unwrap().unwrap(), "last");
    assert!(soon("the end", body.data()).await.is_none());
    drop(body);
    hop.stopped().await;
}
