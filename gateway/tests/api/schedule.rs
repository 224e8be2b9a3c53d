//! Minimums by the clock, end to end.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::scaling::{has, quick, why};
use crate::support::{Answer, Memory, TestGateway};

/// A window of `lasts` seconds that opens in so many seconds from now, and asks for `replicas`.
fn window(replicas: u64, opens: u64, lasts: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let at = now.as_secs() + opens;
    let (second, minute, hour) = (at % 60, at / 60 % 60, at / 3600 % 24);
    format!("{replicas} at {second} {minute} {hour} * * * for {lasts}s")
}

async fn put_to_sleep_if_idle(gateway: &TestGateway) -> u16 {
    let request = gateway.request("POST", "/system/scale-function/f");
    let request = request
        .header("x-if-idle-seconds", "0")
        .body(r#"{"serviceName":"f","replicas":0}"#);
    Answer::to(request).await.status
}

#[tokio::test]
async fn a_window_wakes_a_function_and_keeps_it_awake_until_it_closes() {
    let memory = Memory::start().await;
    let gateway = quick(memory.address, |_| ()).await;
    let schedule = window(2, 5, 8);
    let labels = json!({
        "com.openfaas.scale.zero": "true",
        "com.openfaas.scale.zero-duration": "1s",
        "com.openfaas.scale.schedule": schedule,
    });
    gateway
        .deploy_as(json!({"service": "f", "image": "none", "envProcess": "cat", "labels": labels}))
        .await;
    has(&gateway, 0).await;
    has(&gateway, 2).await;
    let told = why(&gateway).await;
    assert_eq!(told["settings"]["schedule"], schedule.as_str());
    assert_eq!(told["decision"]["scheduled"], 2);
    assert_eq!(
        (&told["changes"][0]["reason"], &told["changes"][0]["from"]),
        (&json!("schedule"), &json!(0)),
        "{told}"
    );
    // Idle for longer than it takes to sleep, and asked to.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(put_to_sleep_if_idle(&gateway).await, 412);
    has(&gateway, 2).await;
    has(&gateway, 0).await;
    assert_eq!(why(&gateway).await["changes"][0]["reason"], "idle");
}

#[tokio::test]
async fn a_number_by_hand_and_an_alert_do_not_take_a_function_below_an_open_window() {
    let memory = Memory::start().await;
    let gateway = quick(memory.address, |_| ()).await;
    // Longer than from one beginning to the next.
    let labels = json!({"com.openfaas.scale.schedule": "2 at * * * * * for 2m"});
    gateway
        .deploy_as(json!({"service": "f", "image": "none", "envProcess": "cat", "labels": labels}))
        .await;
    has(&gateway, 2).await;
    let alert = r#"{"alerts":[{"status":"resolved","labels":{"function_name":"f"}}]}"#;
    assert_eq!(gateway.post("/system/alert", alert).await.status, 200);
    let now = gateway.get("/system/function/f").await.json();
    assert_eq!(now["replicas"], 2);
    let zero = r#"{"serviceName":"f","replicas":0}"#;
    assert_eq!(
        gateway.post("/system/scale-function/f", zero).await.status,
        202
    );
    has(&gateway, 2).await;
    let why = why(&gateway).await;
    assert_eq!(why["changes"][0]["reason"], "schedule", "{why}");
}
