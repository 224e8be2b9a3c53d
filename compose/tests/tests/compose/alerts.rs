//! Prometheus sees the gateway, and its alert comes back through AlertManager as replicas.

use std::time::Duration;

use faas_compose_tests::{Platform, until};
use reqwest::Method;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn a_busy_function_is_scaled_up_by_the_alert() {
    let platform = Platform::prepared(&["docker-compose.yml"]);
    platform.up().await;
    let count = json!({"service": "count", "image": "count", "envProcess": "wc -c"});
    platform.deploy(count).await;

    let query = "/api/v1/query?query=up%7Bjob=%22gateway%22%7D";
    let url = platform.url("prometheus", "9090", query);
    let up = async || platform.get(&url).await.1;
    until("the gateway's metrics", PATIENCE, up, |text| {
        text.contains("\"1\"]")
    })
    .await;

    let replicas = async || {
        // Well over five calls a second, however slow this machine is.
        for _ in 0..20 {
            platform.call("count", "hello").await;
        }
        let (_, text) = platform
            .ask(Method::GET, "/system/function/count", "")
            .await;
        let status: Value = serde_json::from_str(&text).unwrap_or_default();
        status["replicas"].as_u64()
    };
    until("more replicas", PATIENCE, replicas, |count| {
        *count > Some(1)
    })
    .await;
}
