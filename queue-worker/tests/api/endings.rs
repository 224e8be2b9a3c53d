//! Calls that end otherwise: cancelled, too old, unreadable; and the worker's own end.

use std::time::{Duration, Instant};

use faas_queue::embedded::Limits;
use faas_queue::{Embedded, Queue, QueuedCall, State, Work};

use crate::support::{Reply, Room, call, soon};

#[tokio::test]
async fn a_running_call_that_is_cancelled_is_aborted_and_called_back() {
    let room = Room::start().await;
    room.stage.always("f", Reply::Hold);
    let stored = QueuedCall {
        callback_url: Some(format!("{}/sink", room.stage.url())),
        ..call("f")
    };
    let id = room.accept(stored).await;
    room.stage.holds(1).await;
    let began = Instant::now();
    assert!(room.queue.cancel(id).await.unwrap());
    assert_eq!(room.ended(id).await.state, State::Cancelled);
    room.stage.holds(0).await;
    assert!(began.elapsed() < Duration::from_secs(1));
    let callback = room.stage.sees("sink", 1).await.remove(0);
    assert_eq!(callback.headers["x-function-status"], "499");
    assert!(room.dead().await.is_empty());
    room.balances().await;
}

#[tokio::test]
async fn a_call_that_is_too_old_is_not_made() {
    let room = Room::start().await;
    let stored = QueuedCall {
        accepted_ms: crate::support::now_ms() - 25 * 60 * 60 * 1000,
        callback_url: Some(format!("{}/sink", room.stage.url())),
        ..call("f")
    };
    let id = room.accept(stored).await;
    assert_eq!(room.ended(id).await.reason.as_deref(), Some("expired"));
    assert!(room.stage.seen("f").is_empty());
    let callback = room.stage.sees("sink", 1).await.remove(0);
    assert_eq!(callback.headers["x-function-status"], "504");
}

#[tokio::test]
async fn a_call_that_makes_no_request_is_a_dead_letter_and_the_worker_lives() {
    let room = Room::start().await;
    let stored = QueuedCall {
        method: "NO METHOD".into(),
        ..call("f")
    };
    let id = room.accept(stored).await;
    assert_eq!(room.ended(id).await.reason.as_deref(), Some("undecodable"));
    let id = room.post("f").await;
    room.succeeds(id).await;
}

#[tokio::test]
async fn a_call_that_kills_workers_is_not_touched_a_seventh_time() {
    let mut room = Room::empty().await;
    let id = room.post("f").await;
    for delivery in 1..=6 {
        let wish = ("f.openfaas-fn".to_owned(), 1);
        let taken = room.queue.take(&[wish]).await;
        assert_eq!(taken.unwrap()[0].delivery, delivery);
        // Whoever held it is gone without a word.
        let directory = room.directory.path();
        room.queue = reopened(room.queue, directory).await;
    }
    room.work(|_| ());
    assert_eq!(
        room.ended(id).await.reason.as_deref(),
        Some("redelivery_limit")
    );
    assert!(room.stage.seen("f").is_empty());
}

async fn reopened(queue: Embedded, directory: &std::path::Path) -> Embedded {
    drop(queue);
    soon("the directory to be free", async {
        loop {
            if let Ok(queue) = Embedded::open(directory, Limits::default()) {
                return queue;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_told_to_stop_ends_what_runs_and_takes_nothing_more() {
    let mut room = Room::with(|config| {
        config.max_inflight = 2;
        config.limiter_enabled = false;
    })
    .await;
    room.stage.always("f", Reply::Hold);
    for _ in 0..10 {
        room.post("f").await;
    }
    room.stage.holds(2).await;
    let running = room.stop().await;
    room.stage.let_go(2);
    soon("the worker to stop", running).await.unwrap();
    let books = room.queue.books().await.unwrap();
    assert_eq!((books.succeeded, books.waiting, books.running), (2, 8, 0));
    assert_eq!(room.stage.seen("f").len(), 2);

    room.stage.let_go(8);
    room.work(|_| ());
    room.stage.sees("f", 10).await;
    let books = async || room.queue.books().await.unwrap().succeeded == 10;
    crate::support::until("all to succeed", books).await;
    assert_eq!(room.stage.seen("f").len(), 10, "none twice");
}

#[tokio::test]
async fn a_worker_does_not_wait_for_ever_for_calls_that_run() {
    let mut room = Room::with(|config| config.shutdown_timeout = Duration::from_millis(100)).await;
    room.stage.always("f", Reply::Hold);
    room.post("f").await;
    room.stage.holds(1).await;
    soon("the worker to stop", room.stop().await).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_beforehand_goes_back_when_the_worker_stops() {
    let mut room = Room::with(|config| config.max_inflight = 2).await;
    let id = room.post("f").await;
    room.succeeds(id).await;
    room.stage.always("f", Reply::Hold);
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(room.post("f").await);
    }
    room.stage.holds(2).await;
    // Two run, and one more is held: the function was quick.
    crate::support::until("a call to be taken beforehand", async || {
        room.queue.books().await.unwrap().running == 3
    })
    .await;
    let running = room.stop().await;
    room.stage.let_go(2);
    soon("the worker to stop", running).await.unwrap();
    let books = room.queue.books().await.unwrap();
    assert_eq!((books.succeeded, books.waiting, books.running), (3, 3, 0));
    for id in ids {
        let status = room.status(id).await;
        assert_eq!(
            status.deliveries,
            u32::from(status.state == State::Succeeded)
        );
    }
}
