//! To zero and back: when, and when not. What wakes a function, and how, is in `from_zero.rs`.

use std::time::{Duration, Instant};

use faas_queue::Verdict;
use faas_queue::embedded::Limits;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::scaling::{asked, labelled, quick, why};
use crate::support::{Answer, Deployed, Fake, Queued, Scale, TestGateway, soon, until};

/// How long a function is idle here before it sleeps.
const IDLE: Duration = Duration::from_secs(1);
/// Later than this it is not on time any more.
const LATE: Duration = Duration::from_secs(5);

fn sleepy() -> Value {
    json!({"com.openfaas.scale.zero": "true", "com.openfaas.scale.zero-duration": "1s"})
}

/// Waits until a function was asked to sleep, and nothing else; how long that took from then.
async fn falls(fake: &Fake, since: Instant) -> Duration {
    until("sleep", async || !asked(fake).is_empty()).await;
    assert_eq!(asked(fake), [0]);
    since.elapsed()
}

#[tokio::test]
async fn calls_that_come_often_enough_keep_a_function_awake_and_the_last_one_is_its_last() {
    let fake = Fake::start().await;
    fake.deploy("f", labelled(1, sleepy()));
    let gateway = quick(fake.address, |_| ()).await;
    let mut last = Instant::now();
    for _ in 0..8 {
        sleep(IDLE.mul_f64(0.6)).await;
        // A machine that has stood still has not called often enough.
        if last.elapsed() < IDLE.mul_f64(0.9) {
            assert_eq!(asked(&fake), [0; 0]);
        }
        assert_eq!(gateway.get("/function/f").await.status, 200);
        last = Instant::now();
    }
    let took = falls(&fake, last).await;
    assert!(took >= IDLE.mul_f64(0.95) && took < LATE, "{took:?}");
}

#[tokio::test]
async fn a_function_that_was_deployed_and_never_called_sleeps_when_its_time_is_over() {
    let fake = Fake::start().await;
    let gateway = quick(fake.address, |_| ()).await;
    let deployed = Instant::now();
    fake.deploy("f", labelled(1, sleepy()));
    let took = falls(&fake, deployed).await;
    assert!(took >= IDLE && took < LATE, "{took:?}");
    assert_eq!(why(&gateway).await["changes"][0]["reason"], "idle");
}

#[tokio::test]
async fn a_gateway_that_was_started_anew_waits_for_the_whole_time() {
    let fake = Fake::start().await;
    fake.deploy("f", labelled(1, sleepy()));
    let mut first = quick(fake.address, |_| ()).await;
    assert_eq!(first.get("/function/f").await.status, 200);
    sleep(IDLE.mul_f64(0.7)).await;
    first.stop();
    first.stopped().await;
    let already = asked(&fake);
    let began = Instant::now();
    let _second = quick(fake.address, |_| ()).await;
    // Unless the first one took longer to stop.
    if already.is_empty() {
        let took = falls(&fake, began).await;
        assert!(took >= IDLE && took < LATE, "{took:?}");
    }
}

#[tokio::test]
async fn the_first_of_several_replicas_answers() {
    let fake = Fake::start().await;
    fake.on_scale(Scale::NeverReady);
    let labels = json!({"com.openfaas.scale.min": "3"});
    fake.deploy("f", labelled(0, labels.clone()));
    let gateway = TestGateway::ready(fake.address).await;
    let call = tokio::spawn(Answer::to(gateway.request("GET", "/function/f")));
    until("the request", async || !asked(&fake).is_empty()).await;
    let one = Deployed {
        available: 1,
        ..labelled(3, labels)
    };
    fake.deploy("f", one);
    assert_eq!(soon("the answer", call).await.unwrap().status, 200);
    assert_eq!(asked(&fake), [3]);
}

#[tokio::test]
async fn a_function_that_somebody_has_put_to_zero_stays_there_until_it_is_called() {
    for labels in [
        json!({}),
        json!({"com.openfaas.scale.min": "2"}),
        json!({"com.openfaas.scale.type": "rps", "com.openfaas.scale.down.window": "0s"}),
        sleepy(),
    ] {
        let fake = Fake::start().await;
        fake.deploy("f", labelled(2, labels.clone()));
        let gateway = quick(fake.address, |_| ()).await;
        let zero = json!({"replicas": 0});
        let answer = gateway.json("POST", "/system/scale-function/f", zero).await;
        assert_eq!(answer.status, 202);
        // Ten decisions.
        sleep(Duration::from_secs(2)).await;
        assert_eq!(asked(&fake), [0; 0], "{labels}");
        assert_eq!(gateway.get("/function/f").await.status, 200);
        let min = labels["com.openfaas.scale.min"].as_str().unwrap_or("1");
        assert_eq!(asked(&fake)[0], min.parse::<u64>().unwrap(), "{labels}");
    }
}

#[tokio::test]
async fn a_function_with_calls_in_its_queue_does_not_sleep() {
    let hasty = |config: &mut faas_gateway::Config| {
        config.autoscaler_tick = Duration::from_millis(200);
    };
    let queued = Queued::with(hasty, Limits::default(), None).await;
    queued.accepted(&[]).await;
    queued.fake.deploy("echo", labelled(1, sleepy()));
    let scalings = || queued.fake.seen("POST /system/scale-function/echo").len();
    sleep(IDLE * 3).await;
    assert_eq!(scalings(), 0);
    let ended = Instant::now();
    queued.end(Verdict::Succeeded, 200).await;
    until("sleep", async || scalings() > 0).await;
    assert!(ended.elapsed() < LATE, "{:?}", ended.elapsed());
}
