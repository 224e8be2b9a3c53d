//! Bodies pass as they come, both ways, with back-pressure.

use crate::support::{Hop, Played, header};

/// More than all buffers between the two ends together could hold.
const A_LOT: usize = 256 * 1024 * 1024;
/// What buffers may hold: ours, and the kernel's of two connections.
const BUFFERS: usize = 64 * 1024 * 1024;

#[tokio::test]
async fn each_piece_of_an_answer_arrives_before_the_next_is_sent() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let mut caller = hop.call("GET /events HTTP/1.1\r\nHost: f\r\n\r\n").await;
    let (mut replica, _) = upstream.request().await;

    replica.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let head = caller.head().await;
    assert_eq!(header(&head, "transfer-encoding"), Some("chunked"));
    for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
        replica.send_chunk(event).await;
        assert_eq!(caller.chunk().await, event);
    }
    replica.send_chunk("").await;
    assert_eq!(caller.chunk().await, "");
}

#[tokio::test]
async fn each_piece_of_a_request_arrives_before_the_next_is_sent() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let mut caller = hop
        .call("POST / HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    let (mut replica, head) = upstream.request().await;
    assert_eq!(header(&head, "transfer-encoding"), Some("chunked"));
    assert_eq!(header(&head, "content-length"), None);
    for piece in ["one", "two", "three"] {
        caller.send_chunk(piece).await;
        assert_eq!(replica.chunk().await, piece);
    }
    caller.send_chunk("").await;
    assert_eq!(replica.chunk().await, "");
}

#[tokio::test]
async fn request_and_answer_flow_at_the_same_time() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let mut caller = hop
        .call("POST / HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    let (mut replica, _) = upstream.request().await;
    replica
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    caller.head().await;
    for turn in 0..10 {
        let (question, answer) = (format!("question {turn}"), format!("answer {turn}"));
        caller.send_chunk(&question).await;
        assert_eq!(replica.chunk().await, question);
        replica.send_chunk(&answer).await;
        assert_eq!(caller.chunk().await, answer);
    }
}

#[tokio::test]
async fn a_known_length_stays_known_both_ways() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let mut caller = hop
        .call("POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 5\r\n\r\nhello")
        .await;
    let (mut replica, head) = upstream.request().await;
    assert_eq!(header(&head, "content-length"), Some("5"));
    assert_eq!(header(&head, "transfer-encoding"), None);
    assert_eq!(replica.text(5).await, "hello");

    replica
        .send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ngoodbye")
        .await;
    let head = caller.head().await;
    assert_eq!(header(&head, "content-length"), Some("7"));
    assert_eq!(header(&head, "transfer-encoding"), None);
    assert_eq!(caller.text(7).await, "goodbye");
}

#[tokio::test]
async fn a_get_may_have_a_body_of_either_kind() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let _caller = hop
        .call("GET / HTTP/1.1\r\nHost: f\r\nContent-Length: 3\r\n\r\nask")
        .await;
    let (mut replica, head) = upstream.request().await;
    assert_eq!(header(&head, "content-length"), Some("3"));
    assert_eq!(replica.text(3).await, "ask");

    let chunked =
        "GET / HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nask\r\n0\r\n\r\n";
    let _caller = hop.call(chunked).await;
    let (mut replica, head) = upstream.request().await;
    assert_eq!(header(&head, "transfer-encoding"), Some("chunked"));
    assert_eq!(replica.chunk().await, "ask");
}

#[tokio::test]
async fn a_request_without_body_goes_on_without_one() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let _caller = hop.call("GET / HTTP/1.1\r\nHost: f\r\n\r\n").await;
    let (_, head) = upstream.request().await;
    assert_eq!(header(&head, "content-length"), None);
    assert_eq!(header(&head, "transfer-encoding"), None);

    let _caller = hop
        .call("POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 0\r\n\r\n")
        .await;
    let (_, head) = upstream.request().await;
    assert_eq!(header(&head, "content-length"), Some("0"));
    assert_eq!(header(&head, "transfer-encoding"), None);
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_passed_on_in_chunks() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let mut caller = hop.call("GET / HTTP/1.1\r\nHost: f\r\n\r\n").await;
    let (mut replica, _) = upstream.request().await;
    replica.send("HTTP/1.0 200 OK\r\n\r\nold").await;
    drop(replica);
    let head = caller.head().await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(caller.chunk().await, "old");
    assert_eq!(caller.chunk().await, "");
}

#[tokio::test]
async fn an_upstream_that_does_not_read_stops_the_caller() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let mut caller = hop
        .call(format!(
            "POST / HTTP/1.1\r\nHost: f\r\nContent-Length: {A_LOT}\r\n\r\n"
        ))
        .await;
    let (mut replica, _) = upstream.request().await;
    let sent = caller.fill(A_LOT).await;
    assert!(sent < BUFFERS, "{sent} bytes went somewhere");
    // Once it reads, everything that was sent is there.
    assert!(replica.bytes(sent).await.iter().all(|byte| *byte == b'x'));
}

#[tokio::test]
async fn a_caller_who_does_not_read_stops_the_upstream() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let mut caller = hop.call("GET / HTTP/1.1\r\nHost: f\r\n\r\n").await;
    let (mut replica, _) = upstream.request().await;
    replica
        .send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {A_LOT}\r\n\r\n"
        ))
        .await;
    let sent = replica.fill(A_LOT).await;
    assert!(sent < BUFFERS, "{sent} bytes went somewhere");
    caller.head().await;
    assert!(caller.bytes(sent).await.iter().all(|byte| *byte == b'x'));
}

#[tokio::test]
async fn trailers_reach_a_caller_who_takes_them() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let mut caller = hop
        .call("GET / HTTP/1.1\r\nHost: f\r\nTE: trailers\r\n\r\n")
        .await;
    let (mut replica, head) = upstream.request().await;
    assert_eq!(header(&head, "te"), Some("trailers"));
    replica
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n1\r\na\r\n0\r\nX-Sum: 97\r\n\r\n")
        .await;
    let head = caller.head().await;
    assert_eq!(header(&head, "trailer"), Some("X-Sum"));
    assert_eq!(
        caller.until("\r\n\r\n").await.to_lowercase(),
        "1\r\na\r\n0\r\nx-sum: 97\r\n\r\n"
    );
}
