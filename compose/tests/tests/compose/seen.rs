//! What an operator sees of the queue: the series, the rules, the dashboard.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use faas_compose_tests::{Platform, until};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(120);

/// What Prometheus answers.
async fn prometheus(platform: &Platform, path: &str) -> Value {
    let url = platform.url("prometheus", "9090", &format!("/api/v1/{path}"));
    let (_, text) = platform.get(&url).await;
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: {text}"))
}

/// What a query comes to.
async fn query(platform: &Platform, query: &str) -> Value {
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
    prometheus(platform, &format!("query?query={encoded}")).await
}

/// Queries of the dashboard, as Grafana would send them.
fn dashboard(platform: &Platform) -> Vec<String> {
    let text = fs::read_to_string(platform.path().join("grafana/dashboard.json")).unwrap();
    let board: Value = serde_json::from_str(&text).unwrap();
    let panels = board["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries = targets.map(|target| target["expr"].as_str().unwrap());
    let filled = |query: &str| {
        let query = query.replace("$function", ".*");
        query.replace("$__rate_interval", "1m")
    };
    queries.map(filled).collect()
}

/// Names of the queue-worker's series in a text.
fn series(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let ours = words.filter(|word| word.starts_with("queue_worker_"));
    ours.map(str::to_owned).collect()
}

#[tokio::test]
async fn dead_letters_raise_an_alert_and_all_that_the_dashboard_asks_for_is_there() {
    let platform = Platform::prepared(&["docker-compose.yml"]);
    platform.up().await;
    let retried = json!({"com.openfaas.retry.attempts": "1", "com.openfaas.retry.min_wait": "1s"});
    let broken = json!({"service": "broken", "image": "broken", "envProcess": "false", "annotations": retried});
    platform.deploy(broken).await;
    // Depths are told as long as there are calls.
    let slow = json!({"service": "slow", "image": "slow", "envProcess": "sleep 50"});
    platform.deploy(slow).await;
    platform.queue("slow", "").await;
    // To a place that answers, so that there is a callback with a status.
    let callback = ("X-Callback-Url", "http://gateway:8080/function/nobody");
    let id = platform.queue_with(callback, "broken", "").await;
    let known = async || platform.queued(&id).await["state"].clone();
    until("a dead letter", PATIENCE, known, |state| *state == "dead").await;

    let fires = async || query(&platform, r#"ALERTS{alertname="DeadLetters"}"#).await;
    let alert = until("the alert", PATIENCE, fires, |said| {
        said["data"]["result"][0]["metric"]["alertstate"] == "firing"
    })
    .await;
    let labels = &alert["data"]["result"][0]["metric"];
    assert_eq!(labels["function_name"], "broken.openfaas-fn", "{labels}");
    assert_eq!(labels["reason"], "retries_exhausted", "{labels}");

    let rules = prometheus(&platform, "rules").await;
    let groups = rules["data"]["groups"].as_array().unwrap().iter();
    for rule in groups.flat_map(|group| group["rules"].as_array().unwrap()) {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    let up = query(&platform, r#"up{job="queue-worker"}"#).await;
    assert_eq!(up["data"]["result"][0]["value"][1], "1", "{up}");

    let queries = dashboard(&platform);
    let asked = series(&(queries.concat() + &rules.to_string()));
    assert!(asked.len() > 7, "{asked:?}");
    let there = async || {
        let names = prometheus(&platform, "label/__name__/values").await;
        let names = series(&names.to_string());
        asked.difference(&names).cloned().collect::<Vec<_>>()
    };
    until("every series", PATIENCE, there, Vec::is_empty).await;
    for asked in queries {
        let said = query(&platform, &asked).await;
        assert_eq!(said["status"], "success", "{asked}: {said}");
    }
}
