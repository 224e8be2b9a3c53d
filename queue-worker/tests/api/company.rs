//! Many calls at once: who gets a place, and who has to wait.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::support::{Reply, Room, annotated};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_calls_run_at_once_than_may() {
    let room = Room::with(|config| {
        config.max_inflight = 4;
        config.limiter_enabled = false;
    })
    .await;
    room.stage.always("f", Reply::Hold);
    join_all((0..12).map(|_| room.post("f"))).await;
    room.stage.holds(4).await;
    room.stage.let_go(12);
    room.stage.sees("f", 12).await;
    assert_eq!(room.stage.most_at_once("f"), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_has_as_many_calls_at_once_as_its_annotation_says() {
    let room = Room::start().await;
    let calls = (0..20).map(|_| room.accept(annotated("f", &[("queue.max_inflight", "1")])));
    for id in join_all(calls).await {
        room.succeeds(id).await;
    }
    assert_eq!(room.stage.most_at_once("f"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_function_with_many_calls_does_not_hold_up_another() {
    let room = Room::with(|config| {
        config.max_inflight = 10;
        config.limiter_enabled = false;
    })
    .await;
    room.stage.always("slow", Reply::Hold);
    join_all((0..200).map(|_| room.post("slow"))).await;
    room.stage.holds(9).await;
    let ids = join_all((0..10).map(|_| room.post("quick"))).await;
    for id in ids {
        room.succeeds(id).await;
    }
    assert_eq!(room.stage.most_at_once("slow"), 9, "one place is kept free");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_without_room_gets_fewer_calls_and_loses_none() {
    let room = Room::start().await;
    room.stage.always("f", Reply::Room(5));
    let ids = join_all((0..500).map(|_| room.post("f"))).await;
    for id in ids {
        room.succeeds(id).await;
        assert_eq!(room.status(id).await.failures, 0, "no room is no failure");
    }
    let calls = room.stage.seen("f").len();
    eprintln!("500 calls were made {calls} times");
    assert!((500..550).contains(&calls), "{calls}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_succeeds_is_called_more() {
    let room = Room::start().await;
    let ids = join_all((0..400).map(|_| room.post("f"))).await;
    for id in ids {
        room.succeeds(id).await;
    }
    let limit = room.sample("queue_worker_concurrency_limit", &["f.openfaas-fn"]);
    assert!(limit > Some(11.0), "{limit:?}");
    room.balances().await;
}

#[tokio::test]
async fn a_call_that_is_put_off_is_made_when_it_is_due() {
    let room = Room::start().await;
    let began = Instant::now();
    let new = faas_queue::NewCall {
        call: crate::support::call("f"),
        delay: Duration::from_millis(700),
        idempotency: None,
    };
    let id = faas_queue::Queue::accept(&room.queue, new)
        .await
        .unwrap()
        .id;
    room.succeeds(id).await;
    let took = began.elapsed().as_millis();
    assert!((700..20_000).contains(&took), "{took}");
}
