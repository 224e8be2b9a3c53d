//! Whoever leaves in the middle, the other side learns of it.

use crate::support::{Hop, Limits, Played, Wire, pass, until};
use std::time::Duration;

const GET: &str = "GET / HTTP/1.1\r\nHost: f\r\n\r\n";

/// A caller and an upstream who have got as far as the head of the answer.
async fn answering(hop: &Hop, upstream: &Played, head: &str) -> (Wire, Wire) {
    let mut caller = hop.call(GET).await;
    let (mut replica, _) = upstream.request().await;
    replica.send(head).await;
    caller.head().await;
    (caller, replica)
}

#[tokio::test]
async fn a_caller_who_leaves_before_the_answer_cancels_the_call() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let caller = hop.call(GET).await;
    let (mut replica, _) = upstream.request().await;
    assert_eq!(hop.in_flight(), 1);
    drop(caller);
    replica.closed().await;
    until("the call to be counted out", || hop.in_flight() == 0).await;
}

#[tokio::test]
async fn a_caller_who_leaves_during_the_answer_cancels_the_call() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let (mut caller, mut replica) = answering(
        &hop,
        &upstream,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    )
    .await;
    replica.send_chunk("one").await;
    assert_eq!(caller.chunk().await, "one");
    assert_eq!(hop.in_flight(), 1);
    drop(caller);
    replica.closed().await;
    until("the call to be counted out", || hop.in_flight() == 0).await;
}

#[tokio::test]
async fn a_caller_who_leaves_during_the_request_cancels_the_call() {
    let upstream = Played::start().await;
    let mut hop = Hop::before(&upstream).await;
    let mut caller = hop
        .call("POST / HTTP/1.1\r\nHost: f\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    let (mut replica, _) = upstream.request().await;
    caller.send_chunk("half").await;
    assert_eq!(replica.chunk().await, "half");
    drop(caller);
    // Cut, without the chunk that would make half a body look whole.
    replica.closed().await;
    until("the call to be counted out", || hop.in_flight() == 0).await;
    hop.stop();
    hop.stopped().await;
}

#[tokio::test]
async fn half_a_request_with_a_length_is_not_passed_off_as_a_whole_one() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let caller = hop
        .call("POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 10\r\n\r\nhalf")
        .await;
    let (mut replica, _) = upstream.request().await;
    assert_eq!(replica.text(4).await, "half");
    drop(caller);
    replica.closed().await;
}

#[tokio::test]
async fn a_chunked_answer_that_breaks_off_is_cut_not_ended() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let (mut caller, mut replica) = answering(
        &hop,
        &upstream,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    )
    .await;
    replica.send_chunk("half").await;
    assert_eq!(caller.chunk().await, "half");
    drop(replica);
    // Nothing comes any more, above all not the last chunk.
    caller.closed().await;
}

#[tokio::test]
async fn an_answer_with_a_length_that_breaks_off_is_cut() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let (mut caller, mut replica) = answering(
        &hop,
        &upstream,
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
    )
    .await;
    replica.send("half").await;
    assert_eq!(caller.text(4).await, "half");
    drop(replica);
    caller.closed().await;
}

#[tokio::test]
async fn an_answer_whose_chunks_turn_to_garbage_is_cut() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let (mut caller, mut replica) = answering(
        &hop,
        &upstream,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    )
    .await;
    replica.send_chunk("good").await;
    assert_eq!(caller.chunk().await, "good");
    replica.send("this is no chunk\r\n").await;
    caller.closed().await;
}

#[tokio::test]
async fn an_answer_that_falls_silent_is_cut() {
    let upstream = Played::start().await;
    let limits = Limits {
        silence: Some(Duration::from_millis(200)),
        ..Limits::default()
    };
    let hop = Hop::start(&[upstream.address], limits).await;
    let (mut caller, mut replica) = answering(
        &hop,
        &upstream,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    )
    .await;
    replica.send_chunk("then").await;
    assert_eq!(caller.chunk().await, "then");
    caller.closed().await;
    replica.closed().await;
}

#[tokio::test]
async fn an_answer_may_take_longer_than_the_silence_as_long_as_something_comes() {
    let upstream = Played::start().await;
    let silence = Duration::from_secs(60);
    let limits = Limits {
        silence: Some(silence),
        answer: Some(silence),
        ..Limits::default()
    };
    let hop = Hop::start(&[upstream.address], limits).await;
    let (mut caller, mut replica) = answering(
        &hop,
        &upstream,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    )
    .await;
    for _ in 0..10 {
        pass(silence / 2).await;
        replica.send_chunk("tick").await;
        assert_eq!(caller.chunk().await, "tick");
    }
}
