//! Scaling as old stacks have it, by Prometheus: its alert comes back through AlertManager as replicas, and the idler puts
//! functions to sleep. The gateway decides nothing itself here.

use std::time::Duration;

use faas_compose_tests::{Platform, until};
use reqwest::Method;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(120);

/// A platform that leaves scaling to others, with a function, once Prometheus sees the gateway.
async fn legacy(function: Value, knobs: &[(&str, &str)]) -> Platform {
    let mut platform = Platform::prepared(&["docker-compose.yml"]);
    platform.set("AUTOSCALER", "legacy");
    for (knob, value) in knobs {
        platform.set(knob, value);
    }
    platform.up().await;
    platform.deploy(function).await;
    let query = "/api/v1/query?query=up%7Bjob=%22gateway%22%7D";
    let url = platform.url("prometheus", "9090", query);
    let up = async || platform.get(&url).await.1;
    until("the gateway's metrics", PATIENCE, up, |text| {
        text.contains("\"1\"]")
    })
    .await;
    platform
}

async fn replicas(platform: &Platform) -> Option<u64> {
    let path = "/system/function/count";
    let (_, text) = platform.ask(Method::GET, path, "").await;
    let status: Value = serde_json::from_str(&text).unwrap_or_default();
    status["replicas"].as_u64()
}

#[tokio::test]
async fn a_busy_function_is_scaled_up_by_the_alert_and_down_when_it_is_over() {
    let count = json!({"service": "count", "image": "count", "envProcess": "wc -c"});
    let platform = legacy(count, &[]).await;
    let called = async || {
        // Well over five calls a second, however slow this machine is.
        for _ in 0..20 {
            platform.call("count", "hello").await;
        }
        replicas(&platform).await
    };
    until("more replicas", PATIENCE, called, |count| *count > Some(1)).await;
    let rests = async || replicas(&platform).await;
    until("one replica", PATIENCE, rests, |count| *count == Some(1)).await;
}

#[tokio::test]
async fn an_idle_function_is_put_to_sleep_by_the_idler_and_wakes_for_a_call() {
    let labels = json!({"com.openfaas.scale.zero": "true"});
    let count =
        json!({"service": "count", "image": "count", "envProcess": "wc -c", "labels": labels});
    let knobs = [("DEFAULT_ZERO_DURATION", "20s"), ("IDLER_INTERVAL", "2s")];
    let platform = legacy(count, &knobs).await;
    assert_eq!(platform.call("count", "hello").await, "5\n");
    let rests = async || replicas(&platform).await;
    until("sleep", PATIENCE, rests, |count| *count == Some(0)).await;
    assert_eq!(platform.call("count", "hello").await, "5\n");
}
