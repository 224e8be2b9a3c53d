//! The idler inside, beside a real Prometheus.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::prometheus::{Process, free_port};
use crate::support::{Local, answer, client};

/// The least that the idler goes by.
const WINDOW: Duration = Duration::from_secs(10);

async fn deploy(local: &Local, name: &str, labels: Value) {
    let body = json!({"service": name, "image": name, "envProcess": "cat", "labels": labels});
    let answered =
        answer(authorised(local, Method::POST, "/system/functions").body(body.to_string()));
    assert_eq!(answered.await.0, StatusCode::ACCEPTED);
}

fn authorised(local: &Local, method: Method, path: &str) -> reqwest::RequestBuilder {
    local
        .request(method, path)
        .basic_auth("admin", Some("secret"))
}

async fn told(local: &Local, path: &str) -> Value {
    let (status, text) = answer(authorised(local, Method::GET, path)).await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

async fn replicas(local: &Local, name: &str) -> u64 {
    let status = told(local, &format!("/system/function/{name}")).await;
    status["replicas"].as_u64().unwrap()
}

#[tokio::test]
async fn a_function_that_prometheus_has_seen_no_calls_of_sleeps_and_others_do_not() {
    let secrets = tempfile::tempdir().unwrap();
    std::fs::write(secrets.path().join("basic-auth-user"), "admin").unwrap();
    std::fs::write(secrets.path().join("basic-auth-password"), "secret").unwrap();
    let port = free_port();
    let local = Local::with(&[
        ("prometheus_host", "127.0.0.1"),
        ("prometheus_port", &port.to_string()),
        ("inactivity_duration", "10s"),
        ("reconcile_interval", "1s"),
        ("basic_auth", "true"),
        ("secret_mount_path", secrets.path().to_str().unwrap()),
    ])
    .await;
    let begun = Instant::now();
    let zero = json!({"com.openfaas.scale.zero": "true"});
    deploy(&local, "idle", zero.clone()).await;
    deploy(&local, "called", zero).await;
    deploy(&local, "unlabelled", json!({})).await;
    assert_eq!(local.call("idle", "once").await.1, "once");
    let (_, address) = local.metrics.split_once("//").unwrap();
    let address = address.split_once('/').unwrap().0.parse().unwrap();
    let _prometheus = Process::prometheus_on(port, address);

    while replicas(&local, "idle").await > 0 {
        assert_eq!(local.call("called", "often").await.1, "often");
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(begun.elapsed() < 6 * WINDOW, "{}", local.log());
    }
    assert!(begun.elapsed() >= WINDOW, "{:?}", begun.elapsed());
    for name in ["called", "unlabelled"] {
        assert_eq!(replicas(&local, name).await, 1, "{name}");
    }
    let (_, page) = answer(client().get(&local.metrics)).await;
    let line = "idler_scaled_total{function_name=\"idle.openfaas-fn\"} 1";
    assert!(page.contains(line), "{page}");
    // A call wakes it, as always.
    assert_eq!(local.call("idle", "again").await.1, "again");
}
