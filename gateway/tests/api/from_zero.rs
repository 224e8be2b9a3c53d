//! Calls of functions that have no replica.

use std::time::{Duration, Instant};

use faas_gateway::Config;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{
    Answer, Deployed, Fake, Memory, Scale, TestGateway, Wire, config, soon, until,
};

const SCALE: &str = "POST /system/scale-function/f?namespace=openfaas-fn";

/// A fake with a function at zero.
async fn asleep(scale: Scale) -> Fake {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(0));
    fake.on_scale(scale);
    fake
}

/// So many calls, sent together.
fn calls(gateway: &TestGateway, count: usize) -> JoinSet<Answer> {
    (0..count)
        .map(|_| Answer::to(gateway.request("GET", "/function/f")))
        .collect()
}

#[tokio::test]
async fn fifty_calls_wake_a_function_with_one_request_and_all_are_answered() {
    let fake = asleep(Scale::NeverReady).await;
    let gateway = TestGateway::ready(fake.address).await;
    let calls = calls(&gateway, 50);
    until("the scale request", async || !fake.seen(SCALE).is_empty()).await;
    fake.deploy("f", Deployed::with(1));
    let answers = soon("the answers", calls.join_all()).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200; 50]);
    let asked = fake.seen(SCALE);
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(
        serde_json::from_str::<Value>(&asked[0].body).unwrap()["replicas"],
        1
    );
    let started = [("function_name", "f.openfaas-fn")];
    gateway
        .counts("gateway_function_invocation_started", &started, 50.0)
        .await;
}

#[tokio::test]
async fn a_real_function_scaled_to_zero_wakes_for_fifty_calls() {
    let memory = Memory::start().await;
    let gateway = TestGateway::ready(memory.address).await;
    gateway.deploy("f", "echo awake").await;
    let zero = json!({"replicas": 0});
    assert_eq!(
        gateway
            .json("POST", "/system/scale-function/f", zero)
            .await
            .status,
        202
    );
    for answer in soon("the answers", calls(&gateway, 50).join_all()).await {
        assert_eq!((answer.status, answer.text.as_str()), (200, "awake\n"));
    }
    assert_eq!(
        gateway.get("/system/function/f").await.json()["replicas"],
        1
    );
}

/// Each replica refuses what is more than it takes at once: none of the calls may see that.
#[tokio::test]
async fn a_herd_of_a_thousand_gets_as_many_replicas_as_it_needs_and_waits_for_room() {
    let memory = Memory::start().await;
    let gateway = TestGateway::ready(memory.address).await;
    let deployment = json!({
        "service": "f",
        "image": "none",
        "envProcess": "sleep 0.1",
        "envVars": {"max_inflight": "10"},
        "labels": {"com.openfaas.max_inflight": "10", "com.openfaas.scale.max": "4"},
    });
    gateway.deploy_as(deployment).await;
    let zero = json!({"replicas": 0});
    let asked = gateway.json("POST", "/system/scale-function/f", zero).await;
    assert_eq!(asked.status, 202);
    let began = Instant::now();
    let answers = soon("the answers", calls(&gateway, 1000).join_all()).await;
    println!(
        "1000 calls of 0.1 s by 4 replicas of 10: {:?}",
        began.elapsed()
    );
    let bad: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status != 200)
        .collect();
    assert_eq!(bad.len(), 0, "{:?}", bad[0]);
    let now = gateway.get("/system/function/f").await.json();
    assert_eq!(now["replicas"], 4);
}

#[tokio::test]
async fn where_it_is_known_what_a_replica_takes_a_second_request_asks_for_enough_of_them() {
    let fake = asleep(Scale::NeverReady).await;
    let labels = json!({"com.openfaas.max_inflight": "10"});
    let with = |replicas| Deployed {
        labels: labels.clone(),
        ..Deployed::with(replicas)
    };
    fake.deploy("f", with(0));
    let gateway = TestGateway::ready(fake.address).await;
    let calls = calls(&gateway, 45);
    let asked = || {
        let seen = fake.seen(SCALE);
        let body = |text: &str| serde_json::from_str::<Value>(text).unwrap()["replicas"].clone();
        seen.iter().map(|seen| body(&seen.body)).collect::<Vec<_>>()
    };
    until("two requests", async || asked().len() == 2).await;
    fake.deploy("f", with(5));
    let answers = soon("the answers", calls.join_all()).await;
    assert!(
        answers.iter().all(|answer| answer.status == 200),
        "{answers:?}"
    );
    assert_eq!(asked(), [1, 5]);
}

#[tokio::test]
async fn calls_that_find_no_room_in_time_are_503_and_no_replica_sees_them() {
    let fake = Fake::start().await;
    let labels = json!({"com.openfaas.max_inflight": "2"});
    fake.deploy(
        "f",
        Deployed {
            labels,
            ..Deployed::with(1)
        },
    );
    let mut config = config(fake.address);
    config.overload_wait = Duration::from_millis(300);
    config.scale_from_zero_queue = 3;
    let gateway = TestGateway::with(config).await.once_ready().await;
    let held: JoinSet<_> = (0..2)
        .map(|_| Answer::to(gateway.request("GET", "/function/f/hold")))
        .collect();
    fake.replica.stage.holds(2).await;
    let late =
        "function f.openfaas-fn: no replica had room for another call within overload_wait=300ms";
    let full =
        "function f.openfaas-fn: scale_from_zero_queue=3 calls are waiting for a replica already";
    let refused = soon("the refusals", calls(&gateway, 5).join_all()).await;
    let count = |words| {
        refused
            .iter()
            .filter(|answer| answer.text.trim_end() == words)
            .count()
    };
    assert_eq!((count(late), count(full)), (3, 2), "{refused:?}");
    assert!(
        refused
            .iter()
            .all(|answer| answer.status == 503 && answer.header("retry-after") == "1")
    );
    // One that waits gets the room that a call leaves.
    let waiting = calls(&gateway, 1);
    fake.replica.stage.let_go(2);
    assert_eq!(soon("the answer", waiting.join_all()).await[0].status, 200);
    assert!(
        soon("the answers", held.join_all())
            .await
            .iter()
            .all(|answer| answer.status == 200)
    );
}

#[tokio::test]
async fn a_function_wakes_with_its_fewest_replicas() {
    let fake = asleep(Scale::Done).await;
    let labels = json!({"com.openfaas.scale.min": "3"});
    fake.deploy(
        "f",
        Deployed {
            labels,
            ..Deployed::with(0)
        },
    );
    let gateway = TestGateway::ready(fake.address).await;
    assert_eq!(gateway.get("/function/f").await.status, 200);
    let asked = fake.seen(SCALE);
    assert_eq!(
        serde_json::from_str::<Value>(&asked[0].body).unwrap()["replicas"],
        3
    );
}

#[tokio::test]
async fn a_function_that_is_starting_already_is_waited_for_and_not_scaled() {
    let fake = asleep(Scale::Done).await;
    fake.deploy(
        "f",
        Deployed {
            available: 0,
            ..Deployed::with(4)
        },
    );
    let gateway = TestGateway::ready(fake.address).await;
    let call = tokio::spawn(Answer::to(gateway.request("GET", "/function/f")));
    until("the wait to begin", async || {
        !fake.seen("GET /system/function/f?").is_empty()
    })
    .await;
    fake.deploy("f", Deployed::with(4));
    assert_eq!(call.await.unwrap().status, 200);
    assert_eq!(fake.seen(SCALE).len(), 0);
}

#[tokio::test]
async fn a_function_taken_back_to_zero_while_calls_wait_is_woken_again() {
    let fake = asleep(Scale::Done).await;
    let starting = Deployed {
        available: 0,
        ..Deployed::with(1)
    };
    fake.deploy("f", starting);
    let gateway = TestGateway::ready(fake.address).await;
    let call = tokio::spawn(Answer::to(gateway.request("GET", "/function/f")));
    until("the wait to begin", async || {
        !fake.seen("GET /system/function/f?").is_empty()
    })
    .await;
    fake.deploy("f", Deployed::with(0));
    assert_eq!(call.await.unwrap().status, 200);
    assert_eq!(fake.seen(SCALE).len(), 1);
}

#[tokio::test]
async fn more_calls_than_may_wait_are_503_and_the_others_are_answered() {
    let fake = asleep(Scale::NeverReady).await;
    let config = Config {
        scale_from_zero_queue: 2,
        ..config(fake.address)
    };
    let gateway = TestGateway::with(config).await.once_ready().await;
    let mut calls = calls(&gateway, 3);
    let refused = soon("the refusal", calls.join_next())
        .await
        .unwrap()
        .unwrap();
    let words =
        "function f.openfaas-fn: scale_from_zero_queue=2 calls are waiting for a replica already";
    refused.is_refusal(503, words);
    fake.deploy("f", Deployed::with(1));
    for answer in soon("the answers", calls.join_all()).await {
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn a_function_that_does_not_become_ready_is_503_when_the_time_is_up() {
    let fake = asleep(Scale::NeverReady).await;
    let limit = Duration::from_millis(200);
    let config = Config {
        scale_from_zero_timeout: limit,
        ..config(fake.address)
    };
    let gateway = TestGateway::with(config).await.once_ready().await;
    let words = "no replica of f.openfaas-fn became ready within scale_from_zero_timeout=200ms";
    let answer = gateway.get("/function/f").await;
    answer.is_refusal(503, words);
    let labels = [("function_name", "f.openfaas-fn"), ("code", "503")];
    gateway
        .counts("gateway_function_invocation_total", &labels, 1.0)
        .await;
    let started = [("function_name", "f.openfaas-fn")];
    assert_eq!(
        gateway
            .sample("gateway_function_invocation_started", &started)
            .await,
        Some(0.0)
    );
}

#[tokio::test]
async fn a_body_is_not_asked_for_while_nobody_can_take_it() {
    let fake = asleep(Scale::NeverReady).await;
    let config = Config {
        scale_from_zero_timeout: Duration::from_millis(200),
        ..config(fake.address)
    };
    let gateway = TestGateway::with(config).await.once_ready().await;
    let head = "POST /function/f/count HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\
        Expect: 100-continue\r\n\r\n";
    let mut caller = Wire::to(gateway.at.public).await;
    caller.send(head).await;
    let answer = caller.head().await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");

    fake.on_scale(Scale::Done);
    fake.deploy("f", Deployed::with(0));
    let mut caller = Wire::to(gateway.at.public).await;
    caller.send(head).await;
    assert_eq!(caller.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    caller.send("abc").await;
    assert!(caller.head().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(caller.until("3").await, "3");
}

#[tokio::test]
async fn a_scale_request_that_is_refused_is_503_at_once_and_not_repeated() {
    let fake = asleep(Scale::Refused(400)).await;
    let gateway = TestGateway::ready(fake.address).await;
    let words = "function f.openfaas-fn could not be scaled up: it answered 400";
    gateway.get("/function/f").await.is_refusal(503, words);
    assert_eq!(fake.seen(SCALE).len(), 1);
    // The next call tries anew.
    fake.on_scale(Scale::Done);
    assert_eq!(gateway.get("/function/f").await.status, 200);
}

#[tokio::test]
async fn a_scale_request_that_fails_is_made_again() {
    let fake = asleep(Scale::Refused(500)).await;
    let gateway = TestGateway::ready(fake.address).await;
    let words = "function f.openfaas-fn could not be scaled up: it answered 500";
    gateway.get("/function/f").await.is_refusal(503, words);
    assert!(fake.seen(SCALE).len() > 1);

    let before = fake.seen(SCALE).len();
    let call = tokio::spawn(Answer::to(gateway.request("GET", "/function/f")));
    until("a failed attempt", async || fake.seen(SCALE).len() > before).await;
    fake.on_scale(Scale::Done);
    assert_eq!(call.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_caller_who_hangs_up_waits_no_longer() {
    let fake = asleep(Scale::NeverReady).await;
    let config = Config {
        scale_from_zero_queue: 1,
        ..config(fake.address)
    };
    let gateway = TestGateway::with(config).await.once_ready().await;
    let caller = Wire::asking(gateway.at.public, "GET", "/function/f").await;
    until("the scale request", async || !fake.seen(SCALE).is_empty()).await;
    assert_eq!(gateway.get("/function/f").await.status, 503);
    drop(caller);
    let labels = [("function_name", "f.openfaas-fn"), ("code", "499")];
    gateway
        .counts("gateway_function_invocation_total", &labels, 1.0)
        .await;

    // Its place is free, and the function wakes all the same.
    let next = tokio::spawn(Answer::to(gateway.request("GET", "/function/f")));
    fake.deploy("f", Deployed::with(1));
    assert_eq!(next.await.unwrap().status, 200);
    assert_eq!(fake.seen(SCALE).len(), 1);
}

#[tokio::test]
async fn a_function_deleted_while_calls_wait_is_404() {
    let fake = asleep(Scale::NeverReady).await;
    let gateway = TestGateway::ready(fake.address).await;
    let calls = calls(&gateway, 5);
    until("the scale request", async || !fake.seen(SCALE).is_empty()).await;
    fake.delete("f");
    for answer in soon("the answers", calls.join_all()).await {
        answer.is_refusal(404, "function f.openfaas-fn not found");
    }
}

#[tokio::test]
async fn without_scale_from_zero_a_function_at_zero_stays_there() {
    let fake = asleep(Scale::Done).await;
    let config = Config {
        scale_from_zero: false,
        ..config(fake.address)
    };
    let gateway = TestGateway::with(config).await.once_ready().await;
    gateway
        .get("/function/f")
        .await
        .is_refusal(503, "no replica of f.openfaas-fn is ready");
    assert_eq!(fake.seen(SCALE).len(), 0);
}
