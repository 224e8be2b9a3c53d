//! Deployments that cannot start: told in the status and in the log, in words, within seconds.

use serde_json::{Value, json};

use crate::support::{Provider, accepted, function, unique, until, with};
use crate::swarm::{UNHEALTHY, service};

async fn logged(provider: &Provider, name: &str, words: &str) {
    until(&format!("`{words}` in the log of {name}"), async || {
        provider
            .log_texts(name, "")
            .await
            .iter()
            .any(|text| text.contains(words))
    })
    .await;
}

#[tokio::test]
async fn an_image_that_is_nowhere() {
    let provider = Provider::start().await;
    let name = unique("nowhere");
    let image = json!({"image": "localhost:5000/no/such:1"});
    assert_eq!(
        provider.deploy(&with(function(&name, "cat"), image)).await,
        accepted()
    );
    provider
        .problem(
            &name,
            "no replica is ready: No such image: localhost:5000/no/such:1",
        )
        .await;
    logged(&provider, &name, "provider: No such image").await;
    assert_eq!(provider.status(&name).await["availableReplicas"], 0);
    // Mended, it says nothing any more.
    assert_eq!(provider.update(&function(&name, "cat")).await, accepted());
    provider.available(&name, 1).await;
    assert_eq!(provider.status(&name).await["problem"], Value::Null);
}

#[tokio::test]
async fn a_node_that_does_not_exist() {
    let provider = Provider::start().await;
    let name = unique("nofit");
    let constraint = json!({"constraints": ["node.labels.nobody==has-this"]});
    assert_eq!(
        provider
            .deploy(&with(function(&name, "cat"), constraint))
            .await,
        accepted()
    );
    provider
        .problem(&name, "no replica is ready: no suitable node")
        .await;
    logged(&provider, &name, "provider: no suitable node").await;
}

#[tokio::test]
async fn more_memory_than_there_is() {
    let provider = Provider::start().await;
    let name = unique("greedy");
    let requests = json!({"requests": {"memory": "900Gi"}});
    assert_eq!(
        provider
            .deploy(&with(function(&name, "cat"), requests))
            .await,
        accepted()
    );
    provider.problem(&name, "insufficient resources").await;
}

#[tokio::test]
async fn a_function_that_ends_whenever_it_is_started() {
    let provider = Provider::start().await;
    let name = unique("crash");
    let crash = json!({"envVars": {"mode": "http", "http_upstream_url": "http://127.0.0.1:3000"}});
    assert_eq!(
        provider
            .deploy(&with(function(&name, "sh -c exit"), crash))
            .await,
        accepted()
    );
    provider
        .problem(&name, "no replica is ready: task: non-zero exit")
        .await;
    // Its own words are in the log as well as ours.
    logged(&provider, &name, "provider: task: non-zero exit").await;
}

#[tokio::test]
async fn a_task_that_runs_and_never_answers() {
    let provider = Provider::start().await;
    let name = unique("mute");
    let port = json!({"envVars": {"port": "8088", "healthcheck_interval": "0s"}});
    assert_eq!(
        provider.deploy(&with(function(&name, "cat"), port)).await,
        accepted()
    );
    provider
        .problem(&name, "it runs but does not answer at ")
        .await;
    assert_eq!(provider.call(&name, "").await.0, 503);
    assert_eq!(provider.status(&name).await["availableReplicas"], 0);
}

#[tokio::test]
async fn a_task_that_never_becomes_healthy() {
    let provider = Provider::start().await;
    let name = unique("sick");
    let image = json!({"image": UNHEALTHY});
    assert_eq!(
        provider.deploy(&with(function(&name, "cat"), image)).await,
        accepted()
    );
    provider
        .problem(
            &name,
            "no replica is ready: its container ended with code 0",
        )
        .await;
    logged(&provider, &name, "health check failed").await;
    assert_eq!(provider.call(&name, "").await.0, 503);
    assert_eq!(provider.status(&name).await["availableReplicas"], 0);
    assert_eq!(provider.delete(&name).await, accepted());
}

#[tokio::test]
async fn an_update_that_cannot_start_is_undone_and_told() {
    let provider = Provider::start().await;
    let name = unique("undone");
    provider.have(&function(&name, "echo old")).await;
    let image = json!({"image": "localhost:5000/no/such:2"});
    assert_eq!(
        provider
            .update(&with(function(&name, "echo new"), image))
            .await,
        accepted()
    );
    provider
        .problem(
            &name,
            "the last update was undone: No such image: localhost:5000/no/such:2",
        )
        .await;
    assert_eq!(provider.call(&name, "").await.1, "old\n");
    let status = provider.status(&name).await;
    assert_eq!(
        (&status["envProcess"], &status["image"]),
        (
            &json!("echo old"),
            &service(&name)["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
        )
    );
}
