//! What an operator sees when a part is in trouble.

use std::time::Duration;

use faas_compose_tests::{Platform, until};
use serde_json::json;

/// Three checks that fail, each after its own limit, and a busy machine.
const NOTICED: Duration = Duration::from_secs(90);

#[tokio::test]
async fn a_provider_that_hangs_is_shown_as_unhealthy_and_comes_back() {
    let platform = Platform::prepared(&["docker-compose.yml"]);
    platform.up().await;
    let count = json!({"service": "count", "image": "count", "envProcess": "wc -c"});
    platform.deploy(count).await;
    assert_eq!(platform.call("count", "hello").await.trim(), "5");

    let health = async || platform.health("provider");
    platform.compose(&["kill", "-s", "STOP", "provider"]);
    until("the provider to be unhealthy", NOTICED, health, |health| {
        health == "unhealthy"
    })
    .await;
    assert_eq!(
        platform.health("gateway"),
        "healthy",
        "its own process is well"
    );
    platform.compose(&["kill", "-s", "CONT", "provider"]);
    until("the provider to be healthy", NOTICED, health, |health| {
        health == "healthy"
    })
    .await;
    assert_eq!(platform.call("count", "hello").await.trim(), "5");
}

#[tokio::test]
async fn a_provider_that_dies_is_started_again_with_its_functions() {
    let platform = Platform::prepared(&["docker-compose.yml"]);
    platform.up().await;
    let count = json!({"service": "count", "image": "count", "envProcess": "wc -c"});
    platform.deploy(count).await;
    assert_eq!(platform.call("count", "hello").await.trim(), "5");

    // Not by the engine, which would take it for the operator's wish.
    let provider = platform.engine.inspect(&platform.container("provider"));
    let id = provider["Id"].as_str().unwrap();
    let _ = platform
        .engine
        .docker(&["exec", id, "/bin/kill", "-TERM", "1"]);
    let restarts = async || platform.engine.inspect(id)["RestartCount"].as_u64();
    until("the restart", NOTICED, restarts, |count| *count >= Some(1)).await;
    assert_eq!(platform.call("count", "hello").await.trim(), "5");
}
