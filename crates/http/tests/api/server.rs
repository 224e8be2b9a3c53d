//! The server towards its callers.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::{any, get};
use faas_http::{PeerAddr, Server};

use crate::support::{ANY_PORT, Wire, header};

async fn serving(header_timeout: Option<Duration>) -> std::net::SocketAddr {
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .route(
            "/peer",
            get(|request: Request| async move {
                request
                    .extensions()
                    .get::<PeerAddr>()
                    .map_or(String::new(), |peer| peer.0.to_string())
            }),
        )
        // Answers without having looked at the body.
        .route(
            "/refuse",
            any(|| async { (StatusCode::PAYLOAD_TOO_LARGE, "no") }),
        )
        .route(
            "/panic",
            any(|| async {
                if true {
                    panic!("a bug")
                }
            }),
        );
    let server = Server::bind(ANY_PORT, app)
        .await
        .unwrap()
        .header_timeout(header_timeout);
    let address = server.local_addr();
    tokio::spawn(server.run(std::future::pending()));
    address
}

async fn caller() -> Wire {
    Wire::to(serving(None).await).await
}

#[tokio::test]
async fn a_connection_serves_many_requests_also_pipelined_ones() {
    let mut caller = caller().await;
    caller
        .send("GET / HTTP/1.1\r\nHost: s\r\n\r\n".repeat(5))
        .await;
    for _ in 0..5 {
        assert!(caller.head().await.starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(caller.text(5).await, "hello");
    }
}

#[tokio::test]
async fn a_caller_may_ask_for_the_connection_to_be_closed() {
    let mut caller = caller().await;
    caller
        .send("GET / HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n")
        .await;
    assert!(caller.rest().await.ends_with("\r\n\r\nhello"));
}

#[tokio::test]
async fn callers_of_http_1_0_are_served_and_the_connection_closed() {
    let mut caller = caller().await;
    caller.send("GET / HTTP/1.0\r\n\r\n").await;
    let answer = caller.rest().await;
    assert!(
        answer.starts_with("HTTP/1.0 200 OK\r\n") || answer.starts_with("HTTP/1.1 200 OK\r\n"),
        "{answer}"
    );
    assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
}

#[tokio::test]
async fn http_1_0_with_keep_alive_is_kept_alive() {
    let mut caller = caller().await;
    for _ in 0..2 {
        caller
            .send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            .await;
        let head = caller.head().await;
        assert_eq!(header(&head, "connection"), Some("keep-alive"), "{head}");
        assert_eq!(caller.text(5).await, "hello");
    }
}

#[tokio::test]
async fn a_request_knows_where_it_came_from() {
    let mut caller = caller().await;
    caller
        .send("GET /peer HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n")
        .await;
    assert!(caller.rest().await.contains("\r\n\r\n127.0.0.1:"));
}

#[tokio::test]
async fn headers_up_to_a_mebibyte_pass_and_more_is_431() {
    for (size, status) in [(1000 * 1024, "200"), (1100 * 1024, "431")] {
        let mut caller = caller().await;
        let mut request = String::from("GET / HTTP/1.1\r\nHost: s\r\n");
        let line = format!("X-Filler: {}\r\n", "x".repeat(50 * 1024 - 12));
        request.push_str(&line.repeat(size / line.len()));
        request.push_str("\r\n");
        caller.offer(&request).await;
        let head = caller.head().await;
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{size}: {head}"
        );
    }
}

#[tokio::test]
async fn hundreds_of_headers_pass() {
    let mut caller = caller().await;
    let headers: String = (0..500).map(|n| format!("X-H{n}: {n}\r\n")).collect();
    caller
        .send(format!("GET / HTTP/1.1\r\nHost: s\r\n{headers}\r\n"))
        .await;
    assert!(caller.head().await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn what_is_no_http_is_400() {
    let mut caller = caller().await;
    caller.send("nonsense\r\n\r\n").await;
    assert!(caller.rest().await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn a_connection_on_which_no_request_arrives_is_closed_in_time() {
    let address = serving(Some(Duration::from_millis(200))).await;
    let mut idle = Wire::to(address).await;
    let mut half = Wire::to(address).await;
    half.send("GET / HTTP/1.1\r\nHo").await;
    idle.rest().await;
    half.rest().await;
}

#[tokio::test]
async fn an_early_answer_reaches_a_caller_who_is_still_sending() {
    for _ in 0..20 {
        let mut caller = caller().await;
        let body = vec![b'x'; 4 * 1024 * 1024];
        caller
            .send(format!(
                "POST /refuse HTTP/1.1\r\nHost: s\r\nContent-Length: {}\r\n\r\n",
                body.len()
            ))
            .await;
        caller.send(&body).await;
        let head = caller.head().await;
        assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
        assert_eq!(caller.text(2).await, "no");
        // And the connection is as good as before.
        caller.send("GET / HTTP/1.1\r\nHost: s\r\n\r\n").await;
        assert!(caller.head().await.starts_with("HTTP/1.1 200 "));
        assert_eq!(caller.text(5).await, "hello");
    }
}

#[tokio::test]
async fn a_caller_who_waits_to_be_told_to_send_is_told_no() {
    let started = std::time::Instant::now();
    let mut caller = caller().await;
    caller.send("POST /refuse HTTP/1.1\r\nHost: s\r\nExpect: 100-continue\r\nContent-Length: 99\r\n\r\n").await;
    let answer = caller.rest().await;
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.ends_with("\r\n\r\nno"),
        "{answer}"
    );
    // Nothing is on its way that one would have to wait for.
    assert!(started.elapsed() < std::time::Duration::from_secs(4));
}

#[tokio::test]
async fn a_panic_costs_its_connection_and_nobody_elses() {
    let address = serving(None).await;
    let mut unlucky = Wire::to(address).await;
    unlucky.send("GET /panic HTTP/1.1\r\nHost: s\r\n\r\n").await;
    unlucky.closed().await;
    let mut other = Wire::to(address).await;
    other.send("GET / HTTP/1.1\r\nHost: s\r\n\r\n").await;
    assert!(other.head().await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let address = serving(None).await;
    let error = Server::bind(address, Router::new()).await.err().unwrap();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}
