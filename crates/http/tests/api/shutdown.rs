//! Stopping: nothing new is taken, what is in flight ends, and neither takes for ever.

use std::io::Write;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use faas_http::Server;
use tokio::net::TcpStream;

use crate::support::{ANY_PORT, Hop, Limits, Played, Wire, nobody, soon, until};

const GET: &str = "GET / HTTP/1.1\r\nHost: f\r\n\r\n";

async fn refused(hop: &Hop) {
    let address = hop.address;
    let mut refused = false;
    while !refused {
        refused = TcpStream::connect(address).await.is_err();
    }
}

#[tokio::test]
async fn calls_in_flight_end_well_while_new_ones_are_refused() {
    let upstream = Played::start().await;
    let mut hop = Hop::before(&upstream).await;
    let mut caller = hop.call(GET).await;
    let (mut replica, _) = upstream.request().await;
    hop.stop();
    soon("new calls to be refused", refused(&hop)).await;

    replica
        .send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
        .await;
    let answer = caller.rest().await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("done"),
        "{answer}"
    );
    hop.stopped().await;
}

#[tokio::test]
async fn idle_connections_do_not_hold_a_server_up() {
    let upstream = Played::start().await;
    let mut hop = Hop::before(&upstream).await;
    let mut fresh = Wire::to(hop.address).await;
    let mut used = hop.call(GET).await;
    let (mut replica, _) = upstream.request().await;
    replica
        .send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .await;
    used.head().await;
    hop.stop();
    used.closed().await;
    fresh.closed().await;
    hop.stopped().await;
}

#[tokio::test]
async fn a_call_that_outlasts_the_drain_is_cut_and_cancelled() {
    let upstream = Played::start().await;
    let limits = Limits {
        drain: Some(Duration::from_millis(100)),
        ..Limits::default()
    };
    let mut hop = Hop::start(&[upstream.address], limits).await;
    let mut caller = hop.call(GET).await;
    let (mut replica, _) = upstream.request().await;
    let counted = hop.upstreams.clone();
    hop.stop();
    hop.stopped().await;
    caller.closed().await;
    replica.closed().await;
    until("the call to be counted out", || counted[0].in_flight() == 0).await;
}

/// To their callers these are accepted: the system has let them in. The server shares this test's thread, so it has not
/// had a chance to take them.
#[tokio::test]
async fn calls_that_wait_to_be_accepted_are_answered() {
    let app = Router::new().route("/", get(|| async { "hello" }));
    let server = Server::bind(ANY_PORT, app).await.unwrap();
    let address = server.local_addr();
    let mut callers = Vec::new();
    for _ in 0..50 {
        let mut caller = std::net::TcpStream::connect(address).unwrap();
        caller.write_all(GET.as_bytes()).unwrap();
        callers.push(caller);
    }
    let server = tokio::spawn(server.run(std::future::ready(())));
    for caller in callers {
        let mut caller = Wire::from(caller);
        assert!(caller.head().await.starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(caller.text(5).await, "hello");
    }
    soon("the end", server).await.unwrap().unwrap();
}

/// Its first bytes come when the port is closed already. A machine that is slow just then may deliver them too late.
#[tokio::test]
async fn a_call_that_is_on_its_way_is_answered() {
    let mut answer = String::new();
    for _ in 0..20 {
        let mut hop = Hop::start(&[nobody().await], Limits::default()).await;
        let mut caller = Wire::to(hop.address).await;
        hop.stop();
        soon("new calls to be refused", refused(&hop)).await;
        caller.offer(GET).await;
        answer = caller.rest().await;
        hop.stopped().await;
        if !answer.is_empty() {
            break;
        }
    }
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}
