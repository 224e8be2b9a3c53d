//! The README's first function, through a platform from the compose file.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use faas_compose_tests::{Platform, until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(30);

async fn status(platform: &Platform, function: &str) -> Value {
    let path = format!("/system/function/{function}");
    let (code, text) = platform.ask(Method::GET, &path, "").await;
    assert_eq!(code, StatusCode::OK, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn the_first_function_is_deployed_called_scaled_logged_kept_and_deleted() {
    let platform = Platform::prepared(&["docker-compose.yml"]);
    platform.up().await;
    let count = json!({"service": "count", "image": "count", "envProcess": "wc -c"});
    platform.deploy(count).await;
    assert_eq!(platform.call("count", "hello").await.trim(), "5");

    let wish = json!({"serviceName": "count", "replicas": 3}).to_string();
    let scaled = platform
        .ask(Method::POST, "/system/scale-function/count", wish)
        .await;
    assert_eq!(scaled.0, StatusCode::ACCEPTED, "{scaled:?}");
    let ready = async || status(&platform, "count").await["availableReplicas"].clone();
    until("three replicas", SOON, ready, |ready| *ready == 3).await;

    let log = async || {
        platform
            .ask(Method::GET, "/system/logs?name=count", "")
            .await
            .1
    };
    until("the call in the log", SOON, log, |log| {
        log.contains("Wrote 2 Bytes")
    })
    .await;

    platform.compose(&["down"]);
    platform.up().await;
    assert_eq!(platform.call("count", "hello again").await.trim(), "11");
    assert_eq!(status(&platform, "count").await["replicas"], 3);

    let name = json!({"functionName": "count"}).to_string();
    let deleted = platform
        .ask(Method::DELETE, "/system/functions", name)
        .await;
    assert!(deleted.0.is_success(), "{deleted:?}");
    let gone = async || platform.ask(Method::GET, "/system/functions", "").await.1;
    until("an empty list", SOON, gone, |list| list.trim() == "[]").await;
}

#[tokio::test]
async fn without_the_password_nobody_gets_in() {
    let platform = Platform::prepared(&["docker-compose.yml"]);
    platform.compose(&["up", "-d", "gateway", "provider"]);
    let url = platform.url("gateway", "8080", "/system/functions");
    let ask = async || platform.get(&url).await.0;
    until("a refusal", SOON, ask, |code| {
        *code == StatusCode::UNAUTHORIZED
    })
    .await;
}

#[test]
fn what_prepare_makes_stays_as_it_is_and_is_shut_off() {
    let platform = Platform::prepared(&["docker-compose.yml"]);
    let before = platform.credentials();
    assert!(before.1.len() >= 32, "{} letters", before.1.len());
    platform.prepare();
    assert_eq!(platform.credentials(), before);
    let directory = platform.path().join("secrets");
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(directory), 0o700);
    let another = Platform::prepared(&["docker-compose.yml"]);
    assert_ne!(another.credentials().1, before.1);
}
