//! Scaling by load and to zero, end to end.

use std::time::{Duration, Instant};

use faas_gateway::{Autoscaler, Config};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Answer, Deployed, Fake, Memory, Scale, TestGateway, config, soon, until};

const SCALE: &str = "POST /system/scale-function/f?namespace=openfaas-fn";

/// A gateway that looks at the load often.
pub(crate) async fn quick(
    provider: std::net::SocketAddr,
    change: impl FnOnce(&mut Config),
) -> TestGateway {
    let mut config = config(provider);
    config.autoscaler_tick = Duration::from_millis(200);
    change(&mut config);
    TestGateway::with(config).await.once_ready().await
}

pub(crate) fn labelled(replicas: u64, labels: Value) -> Deployed {
    Deployed {
        labels,
        ..Deployed::with(replicas)
    }
}

/// The numbers of replicas that a fake was asked for, in order.
pub(crate) fn asked(fake: &Fake) -> Vec<u64> {
    let body = |text: &str| serde_json::from_str::<Value>(text).unwrap()["replicas"].clone();
    let seen = fake.seen(SCALE);
    seen.iter()
        .map(|seen| body(&seen.body).as_u64().unwrap())
        .collect()
}

pub(crate) async fn why(gateway: &TestGateway) -> Value {
    let answer = gateway.get("/system/scaling/f").await;
    if answer.status == 200 {
        answer.json()
    } else {
        Value::Null
    }
}

pub(crate) async fn has(gateway: &TestGateway, replicas: u64) {
    until(&format!("{replicas} replicas"), async || {
        let now = gateway.get("/system/function/f").await.json();
        now["replicas"] == replicas && now["availableReplicas"] == replicas
    })
    .await;
}

/// So many calls, sent together.
fn calls(gateway: &TestGateway, path: &str, count: usize) -> JoinSet<Answer> {
    (0..count)
        .map(|_| Answer::to(gateway.request("GET", path)))
        .collect()
}

#[tokio::test]
async fn calls_at_a_time_get_replicas_and_their_end_takes_them_away_again() {
    let memory = Memory::start().await;
    let gateway = quick(memory.address, |_| ()).await;
    let labels = json!({
        "com.openfaas.scale.type": "capacity",
        "com.openfaas.scale.target": "2",
        "com.openfaas.scale.target-proportion": "1",
        "com.openfaas.scale.max": "3",
        "com.openfaas.scale.down.window": "1s",
    });
    gateway
        .deploy_as(
            json!({"service": "f", "image": "none", "envProcess": "sleep 6", "labels": labels}),
        )
        .await;
    let calls = calls(&gateway, "/function/f", 6);
    has(&gateway, 3).await;
    let why = why(&gateway).await;
    assert_eq!(why["settings"]["type"], "capacity");
    let change = &why["changes"][0];
    assert_eq!(
        (&change["to"], &change["failure"]),
        (&json!(3), &Value::Null),
        "{why}"
    );
    assert!(change["decision"]["needed"].as_u64().unwrap() >= 3, "{why}");
    for answer in soon("the answers", calls.join_all()).await {
        assert_eq!(answer.status, 200);
    }
    has(&gateway, 1).await;
    let name = ("function_name", "f.openfaas-fn");
    let labels = [name, ("direction", "down")];
    let down = gateway.sample("gateway_autoscaler_decisions_total", &labels);
    assert!(down.await >= Some(1.0));
}

#[tokio::test]
async fn calls_a_second_get_replicas_at_once_when_they_burst() {
    let fake = Fake::start().await;
    let labels = json!({"com.openfaas.scale.target": "5", "com.openfaas.scale.max": "4"});
    fake.deploy("f", labelled(1, labels));
    let gateway = quick(fake.address, |_| ()).await;
    until("the function is known", async || {
        why(&gateway).await["settings"]["target"] == 5.0
    })
    .await;
    let began = Instant::now();
    while asked(&fake).is_empty() {
        assert_eq!(gateway.get("/function/f").await.status, 200);
        assert!(began.elapsed() < Duration::from_secs(10));
    }
    assert_eq!(asked(&fake).last(), Some(&4));
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn an_idle_function_sleeps_if_it_may_and_wakes_for_a_call() {
    let memory = Memory::start().await;
    let gateway = quick(memory.address, |_| ()).await;
    let labels = json!({
        "com.openfaas.scale.zero": "true",
        "com.openfaas.scale.zero-duration": "1s",
    });
    gateway
        .deploy_as(json!({"service": "f", "image": "none", "envProcess": "cat", "labels": labels}))
        .await;
    assert_eq!(gateway.post("/function/f", "one").await.text, "one");
    let called = Instant::now();
    has(&gateway, 0).await;
    assert!(
        called.elapsed() >= Duration::from_millis(990),
        "{:?}",
        called.elapsed()
    );
    assert_eq!(why(&gateway).await["changes"][0]["reason"], "idle");
    assert_eq!(gateway.post("/function/f", "two").await.text, "two");
    until("the reason", async || {
        let why = why(&gateway).await;
        why["changes"][0]["reason"] == "activation" && why["changes"][0]["to"] == 1
    })
    .await;
}

#[tokio::test]
async fn a_call_that_goes_on_keeps_its_function_awake() {
    let fake = Fake::start().await;
    let labels = json!({"com.openfaas.scale.zero": "1", "com.openfaas.scale.zero-duration": "1s"});
    fake.deploy("f", labelled(1, labels));
    let gateway = quick(fake.address, |_| ()).await;
    let call = calls(&gateway, "/function/f/hold", 1);
    fake.replica.stage.holds(1).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(asked(&fake), [0; 0]);
    fake.replica.stage.let_go(1);
    assert_eq!(soon("the answer", call.join_all()).await[0].status, 200);
    until("sleep", async || asked(&fake) == [0]).await;
}

/// Calls come just when the function may sleep, again and again: each is answered, whoever was first, and whether its replica
/// ends or is paused.
#[tokio::test]
async fn calls_at_the_moment_of_falling_asleep_are_all_answered() {
    let memory = Memory::start().await;
    let gateway = quick(memory.address, |config| {
        config.autoscaler_tick = Duration::from_millis(100);
    })
    .await;
    for pauses in ["false", "true"] {
        let labels = json!({
            "com.openfaas.scale.zero": "true",
            "com.openfaas.scale.zero-duration": "200ms",
            "com.openfaas.scale.zero-pause": pauses,
        });
        let name = format!("pauses-{pauses}");
        let function =
            json!({"service": name, "image": "none", "envProcess": "cat", "labels": labels});
        gateway.deploy_as(function).await;
        for round in 0..60_u64 {
            tokio::time::sleep(Duration::from_millis(195 + round * 7 % 130)).await;
            let answer = gateway.post(&format!("/function/{name}"), "here").await;
            assert_eq!(
                (answer.status, answer.text.as_str()),
                (200, "here"),
                "in round {round}"
            );
        }
        let name = format!("{name}.openfaas-fn");
        let labels = [("function_name", name.as_str()), ("reason", "idle")];
        let slept = gateway.sample("gateway_autoscaler_decisions_total", &labels);
        assert!(slept.await > Some(5.0), "it has hardly slept");
    }
}

/// The provider is asked to take the last replica away, and has not done it yet: the call goes to none that may end under it.
#[tokio::test]
async fn a_call_that_comes_while_a_function_falls_asleep_waits_and_wakes_it() {
    let fake = Fake::start().await;
    fake.on_scale(Scale::Late);
    let labels = json!({"com.openfaas.scale.zero": "1", "com.openfaas.scale.zero-duration": "1s"});
    fake.deploy("f", labelled(1, labels));
    let gateway = quick(fake.address, |_| ()).await;
    assert_eq!(gateway.get("/function/f").await.status, 200);
    until("the end", async || asked(&fake) == [0]).await;
    assert_eq!(gateway.get("/function/f").await.status, 200);
    assert_eq!(asked(&fake), [0, 1]);
}

#[tokio::test]
async fn without_leave_no_function_sleeps() {
    let fake = Fake::start().await;
    for word in ["True", "yes", "on", "0"] {
        let zero = json!({"com.openfaas.scale.zero": word});
        fake.deploy(&format!("f-{}", word.to_lowercase()), labelled(1, zero));
    }
    fake.deploy("f", Deployed::with(1));
    let gateway = quick(fake.address, |config| {
        config.default_zero_duration = Duration::from_millis(100);
    })
    .await;
    until("decisions", async || {
        !why(&gateway).await["decision"].is_null()
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(fake.seen("POST /system/scale-function").len(), 0);
}

#[tokio::test]
async fn an_alert_is_a_floor_where_the_load_decides() {
    let fake = Fake::start().await;
    fake.deploy("f", labelled(3, json!({"com.openfaas.scale.type": "rps"})));
    let gateway = quick(fake.address, |_| ()).await;
    let alert = |status: &str| {
        let alert = json!({"status": status, "labels": {"function_name": "f"}});
        gateway.json("POST", "/system/alert", json!({"alerts": [alert]}))
    };
    assert_eq!(alert("firing").await.status, 200);
    until("the floor", async || asked(&fake).contains(&7)).await;
    assert_eq!(why(&gateway).await["decision"]["floor"], 7);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(asked(&fake).last(), Some(&7));
    assert_eq!(alert("resolved").await.status, 200);
    // What it had at first holds for a down-window.
    until("the fall", async || asked(&fake) == [7, 3]).await;
}

#[tokio::test]
async fn a_number_that_somebody_asks_for_holds_for_a_down_window() {
    let fake = Fake::start().await;
    let labels = json!({"com.openfaas.scale.type": "rps", "com.openfaas.scale.down.window": "2s"});
    fake.deploy("f", labelled(1, labels.clone()));
    let gateway = quick(fake.address, |_| ()).await;
    until("decisions", async || {
        !why(&gateway).await["decision"].is_null()
    })
    .await;
    let five = json!({"replicas": 5});
    assert_eq!(
        gateway
            .json("POST", "/system/scale-function/f", five)
            .await
            .status,
        202
    );
    let began = Instant::now();
    until("the fall", async || asked(&fake).ends_with(&[2, 1])).await;
    assert!(
        began.elapsed() >= Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    let why = why(&gateway).await;
    let changes = why["changes"].as_array().unwrap();
    assert!(
        changes.iter().any(|change| change["reason"] == "manual"),
        "{why}"
    );
}

#[tokio::test]
async fn labels_are_followed_as_they_change_and_wrong_ones_do_no_harm() {
    let fake = Fake::start().await;
    fake.deploy("f", labelled(5, json!({"com.openfaas.scale.type": "rps"})));
    let gateway = quick(fake.address, |_| ()).await;
    until("decisions", async || {
        !why(&gateway).await["decision"].is_null()
    })
    .await;
    let labels = json!({"com.openfaas.scale.type": "rps", "com.openfaas.scale.max": "3", "com.openfaas.scale.target": "abc"});
    fake.deploy("f", labelled(5, labels));
    until("the limit", async || asked(&fake).last() == Some(&3)).await;
    let why = why(&gateway).await;
    assert_eq!(
        (&why["settings"]["max"], &why["settings"]["target"]),
        (&json!(3), &json!(50.0))
    );
}

#[tokio::test]
async fn a_provider_that_refuses_is_asked_again_and_told_of_once() {
    let fake = Fake::start().await;
    fake.on_scale(Scale::Refused(500));
    fake.deploy(
        "f",
        labelled(
            9,
            json!({"com.openfaas.scale.max": "3", "com.openfaas.scale.type": "rps"}),
        ),
    );
    let gateway = quick(fake.address, |_| ()).await;
    until("several requests", async || asked(&fake).len() >= 3).await;
    let told = why(&gateway).await;
    let changes = told["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{told}");
    assert_eq!(changes[0]["failure"], "it answered 500");
    fake.on_scale(Scale::Done);
    until("the change", async || {
        let why = why(&gateway).await;
        why["changes"][0]["failure"].is_null() && why["replicas"] == 3
    })
    .await;
}

#[tokio::test]
async fn a_number_that_never_shows_is_not_asked_for_at_every_tick() {
    let fake = Fake::start().await;
    // Taken, and nothing comes of it.
    fake.answers("/system/scale-function/f", 202, "");
    fake.deploy(
        "f",
        labelled(
            9,
            json!({"com.openfaas.scale.max": "3", "com.openfaas.scale.type": "rps"}),
        ),
    );
    let gateway = quick(fake.address, |_| ()).await;
    until("a request", async || !asked(&fake).is_empty()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(asked(&fake).len(), 1);
    drop(gateway);
}

#[tokio::test]
async fn switched_off_nothing_is_decided_and_alerts_are_only_heard() {
    for (autoscaler, by_alert) in [(Autoscaler::Off, vec![]), (Autoscaler::Legacy, vec![9])] {
        let fake = Fake::start().await;
        fake.deploy(
            "f",
            labelled(
                5,
                json!({"com.openfaas.scale.type": "rps", "com.openfaas.scale.zero": "true"}),
            ),
        );
        let gateway = quick(fake.address, |config| {
            config.autoscaler = autoscaler;
            config.default_zero_duration = Duration::from_millis(100);
            config.autoscaler_down_window = Duration::ZERO;
        })
        .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(asked(&fake), [0; 0]);
        let alert = json!({"alerts": [{"status": "firing", "labels": {"function_name": "f"}}]});
        assert_eq!(
            gateway.json("POST", "/system/alert", alert).await.status,
            200
        );
        assert_eq!(asked(&fake), by_alert, "{autoscaler:?}");
    }
}

#[tokio::test]
async fn a_number_for_an_idle_function_is_refused_while_it_is_used() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let gateway = quick(fake.address, |_| ()).await;
    let zero = |seconds: &'static str| {
        let request = gateway.request("POST", "/system/scale-function/f?namespace=openfaas-fn");
        let request = request.header("X-If-Idle-Seconds", seconds);
        Answer::to(request.json(&json!({"replicas": 0})))
    };
    // This gateway has not seen an hour.
    let words = "function f.openfaas-fn was called within X-If-Idle-Seconds, is called now, or nobody knows";
    zero("3600").await.is_refusal(412, words);
    let call = calls(&gateway, "/function/f/hold", 1);
    fake.replica.stage.holds(1).await;
    zero("0").await.is_refusal(412, words);
    fake.replica.stage.let_go(1);
    assert_eq!(soon("the answer", call.join_all()).await[0].status, 200);
    assert_eq!(asked(&fake), [0; 0]);
    until("it to be idle", async || zero("1").await.status == 202).await;
    assert_eq!(asked(&fake), [0]);
    // Not a number: as if it were not there.
    assert_eq!(zero("soon").await.status, 202);
}

#[tokio::test]
async fn a_function_that_computes_gets_replicas_by_the_time_that_it_uses() {
    let memory = Memory::start().await;
    let gateway = quick(memory.address, |_| ()).await;
    let labels = json!({
        "com.openfaas.scale.type": "cpu",
        "com.openfaas.scale.target": "50",
        "com.openfaas.scale.target-proportion": "1",
        "com.openfaas.scale.max": "2",
    });
    // Some of a processor, for as long as the caller stays.
    gateway
        .deploy_as(json!({"service": "f", "image": "none", "envProcess": "sha256sum /dev/zero", "labels": labels}))
        .await;
    let busy = calls(&gateway, "/function/f", 1);
    has(&gateway, 2).await;
    assert_eq!(why(&gateway).await["changes"][0]["reason"], "load");
    drop(busy);
}

#[tokio::test]
async fn a_provider_that_does_not_tell_what_is_used_leaves_calls_to_scale_by() {
    let fake = Fake::start().await;
    let labels = json!({"com.openfaas.scale.type": "cpu", "com.openfaas.scale.target": "1000", "com.openfaas.scale.max": "3"});
    fake.deploy("f", labelled(1, labels));
    let gateway = quick(fake.address, |config| config.default_target = 5.0).await;
    until("replicas by calls", async || {
        gateway.get("/function/f").await;
        asked(&fake).contains(&3)
    })
    .await;
}

#[tokio::test]
async fn the_metrics_page_tells_what_dashboards_ask_for() {
    let fake = Fake::start().await;
    let labels = json!({"com.openfaas.scale.type": "capacity", "com.openfaas.scale.min": "2", "com.openfaas.scale.target": "7"});
    fake.deploy("f", labelled(2, labels));
    fake.deploy("cold", Deployed::with(0));
    let gateway = quick(fake.address, |_| ()).await;
    until("decisions", async || {
        !why(&gateway).await["decision"].is_null()
    })
    .await;
    let call = calls(&gateway, "/function/f/hold", 1);
    fake.replica.stage.holds(1).await;
    assert_eq!(gateway.get("/function/cold").await.status, 200);
    let name = [("function_name", "f.openfaas-fn")];
    let typed = [name[0], ("scaling_type", "capacity")];
    for (series, labels, value) in [
        ("gateway_service_min", &name[..], 2.0),
        ("gateway_service_target_load", &typed, 7.0),
        ("gateway_service_ready_count", &name, 2.0),
        ("gateway_function_invocation_inflight", &name, 1.0),
        ("gateway_activation_queue_depth", &name, 0.0),
        ("gateway_autoscaler_desired_replicas", &name, 2.0),
        (
            "gateway_cold_start_seconds_count",
            &[("function_name", "cold.openfaas-fn")],
            1.0,
        ),
    ] {
        assert_eq!(
            gateway.sample(series, labels).await,
            Some(value),
            "{series}"
        );
    }
    assert!(
        gateway
            .sample("gateway_autoscaler_load", &typed)
            .await
            .is_some()
    );
    let used = gateway
        .sample("gateway_function_last_activity_timestamp_seconds", &name)
        .await;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    assert!((now.as_secs_f64() - used.unwrap()).abs() < 20.0);
    fake.replica.stage.let_go(1);
    assert_eq!(soon("the answer", call.join_all()).await[0].status, 200);
    fake.delete("f");
    until("the series to go", async || {
        gateway.sample("gateway_service_min", &name).await.is_none()
    })
    .await;
}

#[tokio::test]
async fn why_is_told_of_functions_that_there_are() {
    let fake = Fake::start().await;
    let gateway = quick(fake.address, |_| ()).await;
    let answer = gateway.get("/system/scaling/nobody").await;
    assert_eq!(answer.status, 404);
    assert_eq!(gateway.get("/system/scaling/..").await.status, 404);
}
