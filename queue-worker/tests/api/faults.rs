//! What goes wrong around the worker.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::support::{Reply, Room, until};

#[tokio::test]
async fn a_function_that_is_slower_than_the_lease_runs_once() {
    let room = Room::leasing(Duration::from_millis(600)).await;
    room.stage.plays("f", [Reply::Hold]);
    let id = room.post("f").await;
    room.stage.holds(1).await;
    tokio::time::sleep(Duration::from_millis(600 * 5)).await;
    room.stage.let_go(1);
    room.succeeds(id).await;
    assert_eq!(room.stage.seen("f").len(), 1);
    assert_eq!(room.sample("queue_worker_lease_lost_total", &[]), Some(0.0));
}

#[tokio::test]
async fn what_a_killed_worker_was_making_is_made_again_once() {
    let mut room = Room::leasing(Duration::from_secs(1)).await;
    room.stage.plays("f", [Reply::Hold]);
    let id = room.post("f").await;
    room.stage.holds(1).await;
    room.kill().await;
    let began = Instant::now();
    room.work(|_| ());
    room.succeeds(id).await;
    let took = began.elapsed();
    // The lease is one second, and the store looks twice in each.
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(room.stage.seen("f").len(), 2);
    let status = room.status(id).await;
    assert_eq!((status.deliveries, status.failures), (2, 0));
    assert_eq!(
        room.sample("queue_worker_redelivered_total", &[]),
        Some(1.0)
    );
    room.balances().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_away_costs_no_call_a_retry() {
    let mut room = Room::with(|config| config.max_retry_attempts = 0).await;
    let id = room.post("f").await;
    room.succeeds(id).await;
    room.stage.crash().await;
    let ids = join_all((0..100).map(|_| room.post("f"))).await;
    until("the worker to find out", async || {
        let unreachable = room.sample("queue_worker_retries_total", &["unreachable"]);
        unreachable.is_some_and(|calls| calls >= 5.0)
    })
    .await;
    let books = faas_queue::Queue::books(&room.queue).await.unwrap();
    assert_eq!((books.dead, books.succeeded), (0, 1));
    room.stage.begin().await;
    let mut touched = 0;
    for id in &ids {
        room.succeeds(*id).await;
        let status = room.status(*id).await;
        assert_eq!(status.failures, 0);
        touched += u32::from(status.deliveries > 1);
    }
    // The first few found out; the others were not taken off the queue at all.
    assert!((1..=50).contains(&touched), "{touched}");
    assert_eq!(room.stage.seen("f").len(), 101);
}

#[tokio::test]
async fn nothing_is_taken_before_the_gateway_was_seen() {
    let mut room = Room::empty().await;
    room.stage.crash().await;
    let id = room.post("f").await;
    room.work(|_| ());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(room.status(id).await.deliveries, 0);
    room.stage.begin().await;
    room.succeeds(id).await;
}
