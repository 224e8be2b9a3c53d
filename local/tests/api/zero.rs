//! To zero and back, through the whole program: under load, out of a pause, for a call that nobody waits for.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::soak::long_or;
use crate::support::{Local, until};

const CALLERS: u64 = 200;
/// From one call of a caller to its next.
const PAUSE: Duration = Duration::from_secs(2);
/// How long the function is idle before it sleeps.
const IDLE: Duration = Duration::from_secs(2);

async fn deploy(local: &Local, labels: Value) {
    let body = json!({"service": "f", "image": "f", "envProcess": "cat", "labels": labels});
    let answer = local.send(Method::POST, "/system/functions", body).await;
    assert_eq!(answer, (StatusCode::ACCEPTED, String::new()));
}

async fn replicas(local: &Local) -> u64 {
    let status = local.json("/system/function/f").await;
    status["replicas"].as_u64().unwrap()
}

async fn has(local: &Local, what: &str, holds: impl Fn(u64) -> bool) {
    until(what, async || holds(replicas(local).await)).await;
}

/// What callers have seen so far.
#[derive(Default)]
struct Seen {
    calls: AtomicU64,
    stop: AtomicBool,
}

/// Calls until it is told to stop; each call has to be answered with what was sent.
async fn call(local: Arc<Local>, seen: Arc<Seen>, begin: Duration, pause: Duration) {
    sleep(begin).await;
    while !seen.stop.load(Ordering::Relaxed) {
        let body = seen.calls.fetch_add(1, Ordering::Relaxed).to_string();
        let answer = local.call("f", &body).await;
        assert_eq!(answer, (StatusCode::OK, body));
        sleep(pause).await;
    }
}

/// So many callers, one after the other, until the number of replicas is as wanted.
async fn callers(local: &Arc<Local>, count: u64, what: &str, enough: impl Fn(u64) -> bool) -> u64 {
    let seen = Arc::<Seen>::default();
    let mut calling = JoinSet::new();
    for number in 0..count {
        let begin = PAUSE.mul_f64(number as f64 / count as f64);
        let (local, seen) = (Arc::clone(local), Arc::clone(&seen));
        calling.spawn(call(local, seen, begin, PAUSE));
    }
    has(local, what, enough).await;
    sleep(PAUSE * 2).await;
    seen.stop.store(true, Ordering::Relaxed);
    while let Some(ended) = calling.join_next().await {
        ended.unwrap();
    }
    seen.calls.load(Ordering::Relaxed)
}

/// Notes the replicas each second, for as long as it is not dropped.
fn watch(local: &Arc<Local>) -> (Arc<std::sync::Mutex<Vec<u64>>>, JoinSet<()>) {
    let noted = Arc::<std::sync::Mutex<Vec<u64>>>::default();
    let (notes, local) = (Arc::clone(&noted), Arc::clone(local));
    let mut watching = JoinSet::new();
    watching.spawn(async move {
        loop {
            let now = replicas(&local).await;
            notes.lock().unwrap().push(now);
            sleep(Duration::from_secs(1)).await;
        }
    });
    (noted, watching)
}

/// One caller, two hundred, none, again and again for a minute, ten with `SOAK=1`: every call is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_zero_to_many_and_back_no_call_is_lost() {
    let local = Arc::new(Local::start().await);
    let labels = json!({
        "com.openfaas.scale.target": "20",
        "com.openfaas.scale.target-proportion": "1",
        "com.openfaas.scale.max": "5",
        "com.openfaas.scale.down.window": "2s",
        "com.openfaas.scale.zero": "true",
        "com.openfaas.scale.zero-duration": "2s",
    });
    deploy(&local, labels).await;
    let (noted, _watching) = watch(&local);
    let began = Instant::now();
    let (mut calls, mut rounds) = (0, 0);
    while began.elapsed() < Duration::from_secs(long_or(600, 60)) {
        has(&local, "none", |now| now == 0).await;
        sleep(PAUSE).await;
        calls += callers(&local, 1, "one", |now| now == 1).await;
        calls += callers(&local, CALLERS, "many", |now| now >= 3).await;
        // Just when it may fall asleep.
        for late in 0..3 {
            sleep(IDLE + Duration::from_millis(late * 700)).await;
            let body = format!("late {late}");
            assert_eq!(local.call("f", &body).await, (StatusCode::OK, body));
            calls += 1;
        }
        rounds += 1;
    }
    has(&local, "none", |now| now == 0).await;
    let mut line = String::new();
    for now in noted.lock().unwrap().iter() {
        write!(line, " {now}").unwrap();
    }
    eprintln!("{rounds} rounds, {calls} calls, all answered; replicas each second:{line}");
}

#[tokio::test]
async fn a_call_continues_a_function_that_was_paused() {
    let local = Local::start().await;
    let labels = json!({
        "com.openfaas.scale.zero": "true",
        "com.openfaas.scale.zero-duration": "1s",
        "com.openfaas.scale.zero-pause": "true",
    });
    deploy(&local, labels).await;
    for round in 0..3 {
        let body = format!("round {round}");
        assert_eq!(local.call("f", &body).await, (StatusCode::OK, body));
        has(&local, "none", |now| now == 0).await;
        until("it to stop", async || {
            crate::processes::states(local.pid()).contains(&'T')
        })
        .await;
    }
    // Of one replica all the time.
    let (_, log) = local.get("/system/logs?name=f").await;
    let instance = |line: &str| serde_json::from_str::<Value>(line).unwrap()["instance"].clone();
    let mut instances = log.lines().map(instance);
    let first = instances.next().unwrap();
    assert!(instances.all(|other| other == first), "{log}");
}

#[tokio::test]
async fn an_asynchronous_call_wakes_its_function() {
    let local = Local::start().await;
    deploy(&local, json!({})).await;
    local.available("f", 1).await;
    local.scale("f", 0).await;
    local.available("f", 0).await;
    let call = local.request(Method::POST, "/async-function/f");
    let accepted = call.body("hello").send().await.unwrap();
    assert_eq!(accepted.status(), StatusCode::ACCEPTED);
    let id = accepted.headers()["x-invocation-id"].to_str().unwrap();
    let path = format!("/async-function/{id}");
    until("the call's end", async || {
        local.json(&path).await["state"] == "succeeded"
    })
    .await;
}
