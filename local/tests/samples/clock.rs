//! The clock's events come one by one.

use futures_util::StreamExt;
use reqwest::Method;

use crate::processes::{alive, below};
use crate::support::{soon, until};
use crate::{platform, stack_file};

#[tokio::test]
async fn every_event_of_the_clock_arrives_before_the_next_one_happens() {
    let local = platform().await;
    stack_file::deploy(&local, "sse-clock").await;
    local.available("sse-clock", 1).await;

    // A minute apart: were the first one held back for more to come, it would not be here in time.
    let path = "/function/sse-clock?every=60000";
    let response = soon("the stream", local.request(Method::GET, path).send()).await;
    let response = response.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut pieces = response.bytes_stream();
    let mut event = String::new();
    while !event.ends_with("\n\n") {
        let piece = soon("the first event", pieces.next()).await;
        event.push_str(std::str::from_utf8(&piece.unwrap().unwrap()).unwrap());
    }
    assert!(event.starts_with("id: 1\nevent: tick\ndata: "), "{event}");
    assert_eq!(event.matches("\n\n").count(), 1, "{event}");
}

#[tokio::test]
async fn a_clock_with_nobody_looking_stops() {
    let local = platform().await;
    stack_file::deploy(&local, "sse-clock").await;
    local.available("sse-clock", 1).await;

    let path = "/function/sse-clock?every=10";
    let response = soon("the stream", local.request(Method::GET, path).send()).await;
    let mut pieces = response.unwrap().bytes_stream();
    soon("an event", pieces.next()).await.unwrap().unwrap();
    drop(pieces);

    let replica = below(local.pid());
    assert!(!replica.is_empty());
    // The replica that leaves waits for its streams, two minutes at most: longer than this test does.
    local.scale("sse-clock", 0).await;
    until("the replica to be gone", async || {
        alive(&replica).is_empty()
    })
    .await;
}
