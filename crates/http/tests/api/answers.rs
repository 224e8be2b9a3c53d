//! What a caller sees of an answer.

use crate::support::{Hop, Played, Wire, header};

/// The caller's end after the upstream has answered a request with these bytes.
async fn answered(request: &str, answer: &str) -> Wire {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let caller = hop.call(request).await;
    let (mut replica, _) = upstream.request().await;
    replica.send(answer).await;
    // Hop and upstream live on, so that the end of a connection is never their doing.
    std::mem::forget((hop, upstream, replica));
    caller
}

const GET: &str = "GET / HTTP/1.1\r\nHost: f\r\n\r\n";

#[tokio::test]
async fn redirects_are_for_the_caller_to_follow() {
    let answer =
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/else\r\nContent-Length: 0\r\n\r\n";
    let head = answered(GET, answer).await.head().await;
    assert!(head.starts_with("HTTP/1.1 302 Found\r\n"), "{head}");
    assert_eq!(header(&head, "location"), Some("http://127.0.0.1:1/else"));
}

#[tokio::test]
async fn the_answer_to_head_keeps_the_length_of_what_was_not_sent() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n";
    let mut caller = answered("HEAD / HTTP/1.1\r\nHost: f\r\n\r\n", answer).await;
    assert_eq!(header(&caller.head().await, "content-length"), Some("1234"));
}

#[tokio::test]
async fn a_length_that_nobody_said_is_not_made_up() {
    for (request, answer) in [
        (
            "HEAD / HTTP/1.1\r\nHost: f\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: 1\r\n\r\n",
        ),
        (
            "HEAD / HTTP/1.1\r\nHost: f\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        (
            "GET / HTTP/1.1\r\nHost: f\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
        ),
        (
            "GET / HTTP/1.1\r\nHost: f\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
        ),
    ] {
        let mut caller = answered(request, answer).await;
        let head = caller.head().await;
        assert_eq!(header(&head, "content-length"), None, "{answer}: {head}");
        caller.closed().await;
    }
}

#[tokio::test]
async fn the_length_in_a_304_is_not_waited_for() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let mut caller = hop.call(GET).await;
    let (mut replica, _) = upstream.request().await;
    for tag in ["a", "b"] {
        let answer =
            format!("HTTP/1.1 304 Not Modified\r\nETag: {tag}\r\nContent-Length: 88\r\n\r\n");
        replica.send(answer).await;
        assert_eq!(header(&caller.head().await, "etag"), Some(tag));
        caller.send(GET).await;
        replica.head().await;
    }
}

#[tokio::test]
async fn an_empty_answer_says_that_it_is_empty() {
    let mut caller = answered(GET, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n").await;
    let head = caller.head().await;
    assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
    assert_eq!(header(&head, "content-length"), Some("0"));
}

#[tokio::test]
async fn every_cookie_arrives_in_its_order() {
    let answer = "HTTP/1.1 200 OK\r\nSet-Cookie: b=1\r\nSet-Cookie: a=2\r\nSet-Cookie: b=3\r\nContent-Length: 0\r\n\r\n";
    let head = answered(GET, answer).await.head().await;
    let cookies: Vec<_> = head
        .lines()
        .filter_map(|line| line.strip_prefix("Set-Cookie: "))
        .collect();
    assert_eq!(cookies, ["b=1", "a=2", "b=3"]);
}

#[tokio::test]
async fn compressed_answers_stay_compressed() {
    let answer =
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x0b\x08\x00";
    let mut caller = answered(GET, answer).await;
    let head = caller.head().await;
    assert_eq!(header(&head, "content-encoding"), Some("gzip"));
    assert_eq!(caller.bytes(4).await, b"\x1f\x0b\x08\x00");
}

#[tokio::test]
async fn headers_of_one_connection_do_not_come_back() {
    let answer = "HTTP/1.1 200 OK\r\nConnection: X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=1\r\n\
                  Upgrade: h2c\r\nProxy-Authenticate: x\r\nX-Kept: 1\r\nContent-Length: 0\r\n\r\n";
    let head = answered(GET, answer).await.head().await;
    for gone in [
        "connection",
        "x-private",
        "keep-alive",
        "upgrade",
        "proxy-authenticate",
    ] {
        assert_eq!(header(&head, gone), None, "{gone}");
    }
    assert_eq!(header(&head, "x-kept"), Some("1"));
}

#[tokio::test]
async fn the_upstreams_content_type_is_neither_changed_nor_made_up() {
    let head = answered(GET, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .await
        .head()
        .await;
    assert_eq!(header(&head, "content-type"), None);
    let typed = "HTTP/1.1 200 OK\r\nContent-Type: application/x-own\r\nContent-Length: 0\r\n\r\n";
    let head = answered(GET, typed).await.head().await;
    assert_eq!(header(&head, "content-type"), Some("application/x-own"));
}

#[tokio::test]
async fn early_hints_do_not_stand_for_the_answer() {
    let answer = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let head = answered(GET, answer).await.head().await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
}

#[tokio::test]
async fn header_names_come_as_they_always_did() {
    let answer = "HTTP/1.1 200 OK\r\nx-call-id: 1\r\ncontent-length: 0\r\n\r\n";
    let head = answered(GET, answer).await.head().await;
    assert!(
        head.contains("\r\nX-Call-Id: 1\r\n") && head.contains("\r\nContent-Length: 0\r\n"),
        "{head}"
    );
}
