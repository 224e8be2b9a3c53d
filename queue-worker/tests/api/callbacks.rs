//! Callbacks: what they tell, and what becomes of those that nobody takes.

use std::time::{Duration, Instant};

use faas_http::env::Setting;
use faas_queue::{DeadId, InvocationId, Queue, QueuedCall, Work};
use faas_queue_worker::{Networks, Waits};
use futures_util::future::join_all;

use crate::support::{Reply, Room, Stage, call, until};

async fn calls_back(room: &Room, url: String) -> InvocationId {
    let stored = QueuedCall {
        callback_url: Some(url),
        ..call("f")
    };
    room.accept(stored).await
}

fn quick(config: &mut faas_queue_worker::Config) {
    config.callback_retry_waits = Waits(vec![Duration::from_millis(100); 3]);
    config.callback_timeout = Duration::from_millis(300);
}

async fn done(room: &Room) {
    until("calls and callbacks to end", async || {
        let books = room.queue.books().await.unwrap();
        let calls = books.waiting + books.running;
        calls == 0 && room.queue.callbacks().await.unwrap() == 0
    })
    .await;
}

#[tokio::test]
async fn a_callback_has_the_answer_and_tells_of_the_call() {
    let room = Room::start().await;
    room.stage
        .plays("f", [Reply::with(201, "set-cookie", "a=b")]);
    let id = calls_back(&room, format!("{}/sink?k=1", room.stage.url())).await;
    let seen = room.stage.sees("sink", 1).await.remove(0);
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("POST", "/sink?k=1")
    );
    assert_eq!(&seen.body[..], b"what came of it");
    for (name, value) in [
        ("x-function-status", "201"),
        ("x-function-name", "f"),
        ("x-call-id", "c-1"),
        ("x-invocation-id", &id.to_string()),
        ("x-retry", "0"),
        ("x-retry-max", "10"),
        ("set-cookie", "a=b"),
        ("content-length", "15"),
    ] {
        assert_eq!(seen.headers[name], value, "{name}");
    }
    assert!(seen.headers["user-agent"].starts_with("queue-worker/"));
    let seconds: f64 = seen.headers["x-duration-seconds"].parse().unwrap();
    assert!(seconds > 0.0 && seconds < 30.0);
    done(&room).await;
    assert_eq!(room.stage.seen("sink").len(), 1);
}

#[tokio::test]
async fn one_that_is_not_taken_is_posted_again_and_dies_in_the_end() {
    let room = Room::with(quick).await;
    room.stage
        .plays("sink", [Reply::status(500), Reply::status(301)]);
    room.stage.always("never", Reply::status(500));
    let id = calls_back(&room, format!("{}/never", room.stage.url())).await;
    calls_back(&room, format!("{}/sink", room.stage.url())).await;
    done(&room).await;
    assert_eq!(room.stage.seen("sink").len(), 3);
    assert_eq!(room.stage.seen("never").len(), 4);
    let letters = room.dead().await;
    assert_eq!((letters.len(), letters[0].id), (1, DeadId::Callback(id)));
    assert_eq!(letters[0].reason, "callback_failed");
    room.succeeds(id).await;
    room.stage.always("never", Reply::status(200));
    room.queue.redrive(DeadId::Callback(id)).await.unwrap();
    room.stage.sees("never", 5).await;
}

#[tokio::test]
async fn a_target_that_is_gone_is_left_alone_and_one_that_asks_for_time_gets_it() {
    let room = Room::with(|config| {
        config.callback_retry_waits = Waits(vec![Duration::from_millis(1), Duration::from_secs(9)]);
    })
    .await;
    room.stage.plays("gone", [Reply::status(410)]);
    room.stage
        .plays("later", [Reply::with(503, "retry-after", "1")]);
    for sink in ["gone", "later"] {
        calls_back(&room, format!("{}/{sink}", room.stage.url())).await;
    }
    done(&room).await;
    assert_eq!(room.stage.seen("gone").len(), 1);
    let later = room.stage.seen("later");
    assert!(later[1].at - later[0].at >= Duration::from_secs(1));
    assert!(room.dead().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_hangs_holds_up_neither_calls_nor_other_targets() {
    let room = Room::with(|config| config.callback_max_inflight = 20).await;
    let hung = Stage::start().await;
    hung.always("sink", Reply::Hold);
    let url = format!("{}/sink", hung.url());
    join_all((0..100).map(|_| calls_back(&room, url.clone()))).await;
    hung.holds(10).await;
    let began = Instant::now();
    let calls = (0..20).map(|_| calls_back(&room, format!("{}/sink", room.stage.url())));
    for id in join_all(calls).await {
        room.succeeds(id).await;
    }
    room.stage.sees("sink", 20).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(hung.most_at_once("sink"), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_comes_back_gets_what_it_missed() {
    let room = Room::with(|config| {
        config.callback_retry_waits = Waits(vec![Duration::from_secs(1); 20]);
    })
    .await;
    let mut sink = Stage::start().await;
    sink.crash().await;
    let calls = (0..30).map(|_| calls_back(&room, format!("{}/sink", sink.url())));
    let ids = join_all(calls).await;
    for id in ids {
        room.succeeds(id).await;
    }
    sink.begin().await;
    done(&room).await;
    assert_eq!(sink.seen("sink").len(), 30);
}

#[tokio::test]
async fn a_name_that_points_at_metadata_is_never_asked() {
    let room = Room::with(quick).await;
    // Stored before it was forbidden, or by another gateway.
    calls_back(&room, "http://169.254.169.254/latest".to_owned()).await;
    done(&room).await;
    assert_eq!(room.dead().await.len(), 1);
}

#[tokio::test]
async fn where_the_operator_forbids_it_nothing_is_posted() {
    let networks = |text| <Networks as Setting>::parse(text).unwrap();
    let room = Room::with(|config| {
        quick(config);
        config.callback_deny_cidrs = Some(networks("127.0.0.0/8,::1"));
    })
    .await;
    let literal = format!("{}/sink", room.stage.url());
    let named = literal.replace("127.0.0.1", "localhost");
    assert_ne!(literal, named);
    for url in [literal, named] {
        calls_back(&room, url).await;
    }
    done(&room).await;
    assert!(room.stage.seen("sink").is_empty());
    assert_eq!(room.dead().await.len(), 2);
}
