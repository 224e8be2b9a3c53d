//! How long a call may take, and who is told what.

use std::time::Duration;

use faas_http::forward::Failure;

use crate::support::{Hop, Limits, Played, pass};

const SHORT: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(600);

async fn hop(upstream: &Played, answer: Option<Duration>, silence: Option<Duration>) -> Hop {
    let limits = Limits {
        answer,
        silence,
        drain: None,
        ..Limits::default()
    };
    Hop::start(&[upstream.address], limits).await
}

#[tokio::test]
async fn an_answer_that_does_not_begin_in_time_is_504_and_the_upstream_is_let_go() {
    let upstream = Played::start().await;
    let mut hop = hop(&upstream, Some(SHORT), None).await;
    let mut caller = hop
        .call("GET / HTTP/1.1\r\nHost: f\r\nConnection: close\r\n\r\n")
        .await;
    let (mut replica, _) = upstream.request().await;
    let answer = caller.rest().await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert!(answer.ends_with("no answer within limit=150ms"), "{answer}");
    assert!(matches!(hop.failure().await, Failure::TimedOut(SHORT)));
    replica.closed().await;
    assert_eq!(hop.in_flight(), 0);
}

#[tokio::test]
async fn what_the_caller_says_is_left_counts_where_it_is_shorter() {
    let upstream = Played::start().await;
    for limit in [None, Some(LONG)] {
        let mut hop = hop(&upstream, limit, None).await;
        let request =
            "GET / HTTP/1.1\r\nHost: f\r\nConnection: close\r\nX-Remaining-Ms: 150\r\n\r\n";
        let mut caller = hop.call(request).await;
        let _replica = upstream.request().await;
        let answer = caller.rest().await;
        assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
        assert!(
            answer.ends_with("no answer within X-Remaining-Ms=150"),
            "{answer}"
        );
        assert!(matches!(hop.failure().await, Failure::NoTimeLeft(SHORT)));
    }
}

#[tokio::test]
async fn a_call_with_no_time_left_is_504_at_once() {
    let upstream = Played::start().await;
    let hop = hop(&upstream, Some(LONG), None).await;
    let request = "GET / HTTP/1.1\r\nHost: f\r\nConnection: close\r\nX-Remaining-Ms: 0\r\n\r\n";
    let answer = hop.call(request).await.rest().await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
}

#[tokio::test]
async fn the_limit_is_for_the_beginning_of_the_answer_only() {
    let upstream = Played::start().await;
    let hop = hop(&upstream, Some(SHORT), None).await;
    let mut caller = hop.call("GET / HTTP/1.1\r\nHost: f\r\n\r\n").await;
    let (mut replica, _) = upstream.request().await;
    replica
        .send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        .await;
    caller.head().await;
    pass(SHORT * 2).await;
    replica.send("late").await;
    assert_eq!(caller.text(4).await, "late");
}

#[tokio::test]
async fn a_caller_who_stops_sending_is_408_and_the_upstream_is_let_go() {
    let upstream = Played::start().await;
    let mut hop = hop(&upstream, Some(LONG), Some(SHORT)).await;
    let mut caller = hop
        .call("POST / HTTP/1.1\r\nHost: f\r\nConnection: close\r\nContent-Length: 9\r\n\r\nhalf")
        .await;
    let (mut replica, _) = upstream.request().await;
    assert_eq!(replica.text(4).await, "half");
    replica.closed().await;
    assert!(caller.head().await.starts_with("HTTP/1.1 408 "));
    assert!(matches!(hop.failure().await, Failure::CallerSilent));
}

#[tokio::test]
async fn an_upstream_that_takes_long_to_answer_is_not_silent() {
    let upstream = Played::start().await;
    let hop = hop(&upstream, None, Some(SHORT)).await;
    let mut caller = hop
        .call("POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 2\r\n\r\nhi")
        .await;
    let (mut replica, _) = upstream.request().await;
    replica.text(2).await;
    pass(SHORT * 2).await;
    replica
        .send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert!(caller.head().await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn who_talks_both_ways_may_pause_once_the_answer_has_begun() {
    let upstream = Played::start().await;
    let hop = hop(&upstream, Some(LONG), Some(SHORT)).await;
    let mut caller = hop
        .call("POST / HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        .await;
    let (mut replica, _) = upstream.request().await;
    assert_eq!(replica.chunk().await, "first");
    replica
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    caller.head().await;
    // The answer moves on all the while; only the caller is silent.
    for _ in 0..4 {
        pass(SHORT / 2).await;
        replica.send_chunk("tick").await;
        assert_eq!(caller.chunk().await, "tick");
    }
    caller.send_chunk("later").await;
    assert_eq!(replica.chunk().await, "later");
}
