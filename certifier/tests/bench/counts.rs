//! What is counted, and from when.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use certifier::bench::{Fault, Load, Measured, Tally};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore};

use crate::upstream::{Seen, load, measure, upstream};

fn total(measured: &Measured) -> Tally {
    measured.sides[0].total()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_shows_in_every_call_that_was_due_meanwhile() {
    let seen = Arc::default();
    let one_at_a_time = Arc::new(Mutex::new(()));
    let url = upstream("stalls", &seen, move |number| {
        let one_at_a_time = one_at_a_time.clone();
        async move {
            let _turn = one_at_a_time.lock().await;
            if number == 50 {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            StatusCode::OK
        }
    })
    .await;
    let load = Load {
        connections: 4,
        ..load(100.0, 2.0)
    };
    let measured = measure(&[&url], load).await.unwrap();
    let total = total(&measured);
    assert_eq!(total.statuses()[&200], 200);
    // At a hundred a second fifty calls became due in the first half of the stall. Only four of them could be sent.
    let slow = total.at_least(Duration::from_millis(500));
    assert!(slow >= 49, "{slow}\n{measured}");
    assert!(
        total.latency(0.8) >= Some(Duration::from_millis(500)),
        "{measured}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_made_at_their_time_whatever_becomes_of_those_before() {
    let seen: Arc<Seen> = Arc::default();
    let all_there = Arc::new(Semaphore::new(0));
    let url = upstream("waits for all", &seen, move |number| {
        let all_there = all_there.clone();
        async move {
            // The first only shows that the function is there. The last lets all go.
            if number == 50 {
                all_there.add_permits(50);
            }
            if number > 0 {
                all_there.acquire().await.unwrap().forget();
            }
            StatusCode::OK
        }
    })
    .await;
    let began = Instant::now();
    let measured = measure(&[&url], load(100.0, 0.5)).await.unwrap();
    assert!(measured.success(), "{measured}");
    assert_eq!(total(&measured).statuses()[&200], 50);
    assert_eq!(seen.count(), 51);
    for (number, (_, at)) in (0..).zip(&seen.calls.lock().unwrap()[1..]) {
        let due = Duration::from_millis(10) * number;
        assert!(
            at.duration_since(began) >= due,
            "call {number} came too soon"
        );
    }
    let rate = total(&measured).sent_per_second();
    assert!(rate > 0.0 && rate <= 100.01, "{rate}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_calls_are_in_flight_than_allowed_and_that_is_told() {
    let seen: Arc<Seen> = Arc::default();
    let url = upstream("slow", &seen, async |_| {
        tokio::time::sleep(Duration::from_millis(50)).await;
        StatusCode::OK
    })
    .await;
    let load = Load {
        connections: 2,
        ..load(100.0, 0.5)
    };
    let measured = measure(&[&url], load).await.unwrap();
    assert_eq!(seen.most_in_flight.load(Ordering::SeqCst), 2);
    assert!(total(&measured).crowded() > 0);
    let text = measured.to_string();
    assert!(
        text.contains("found all 2 connections busy and waited"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_are_counted_and_a_bad_one_is_no_success() {
    let url = upstream("fails at times", &Arc::default(), async |number| {
        match number % 4 {
            3 => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::OK,
        }
    })
    .await;
    let measured = measure(&[&url], load(200.0, 0.2)).await.unwrap();
    let total = total(&measured);
    assert_eq!((total.statuses()[&200], total.statuses()[&503]), (30, 10));
    assert!(!measured.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_answers_is_waited_for_and_that_counts() {
    let url = upstream("answers once", &Arc::default(), async |number| {
        if number > 0 {
            std::future::pending::<()>().await;
        }
        StatusCode::OK
    })
    .await;
    let limit = Duration::from_secs(1);
    let load = Load {
        connections: 1,
        timeout: limit,
        // Due so close together that those behind the first are late when it is given up.
        ..load(5000.0, 0.002)
    };
    let measured = measure(&[&url], load).await.unwrap();
    let total = total(&measured);
    let count = |fault| total.faults().get(&fault).map_or(0, |counted| counted.0);
    assert_eq!(
        count(Fault::TimedOut) + count(Fault::NotSent),
        10,
        "{measured}"
    );
    assert!(
        count(Fault::TimedOut) >= 1 && count(Fault::NotSent) >= 1,
        "{measured}"
    );
    assert_eq!(total.timed(), 10);
    assert_eq!(total.at_least(limit), 10);
}

/// Answers the first connection's one request; what comes after is up to the caller.
async fn answer_once(listener: &TcpListener) {
    let (mut caller, _) = listener.accept().await.unwrap();
    let mut request = [0; 4096];
    let _ = caller.read(&mut request).await.unwrap();
    let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    caller.write_all(answer).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_calls_are_told_by_kind_and_are_no_latencies() {
    for (fault, accepts) in [(Fault::NoConnection, false), (Fault::BrokeOff, true)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            answer_once(&listener).await;
            if !accepts {
                return;
            }
            loop {
                let (mut caller, _) = listener.accept().await.unwrap();
                let _ = caller.read(&mut [0; 4096]).await;
                let _ = caller
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal")
                    .await;
            }
        });
        let measured = measure(&[&url], load(50.0, 0.2)).await.unwrap();
        let total = total(&measured);
        assert_eq!(total.faults()[&fault].0, 10, "{measured}");
        assert_eq!((total.timed(), total.latency(0.5)), (0, None));
        let text = measured.to_string();
        assert!(
            text.contains(&format!("the first {fault} of {url}: ")),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_measured_until_an_interruption_is_the_result() {
    let seen: Arc<Seen> = Arc::default();
    let enough = Arc::new(Semaphore::new(0));
    let tenth = enough.clone();
    let url = upstream("tells", &seen, move |number| {
        if number == 10 {
            tenth.add_permits(1);
        }
        async { StatusCode::OK }
    })
    .await;
    let bench = certifier::bench::Bench {
        first: certifier::Options::gateway(url),
        second: None,
        function: Some("echo".to_owned()),
        load: load(20.0, 3600.0),
    };
    let stop = async move { drop(enough.acquire().await) };
    let measured = certifier::bench::run(bench, |_| {}, stop).await.unwrap();
    assert!(measured.interrupted && !measured.success());
    let answered = total(&measured).statuses()[&200];
    assert!((8..100).contains(&answered), "{answered}");
    assert!(measured.to_string().contains("interrupted"));
}
