//! Namespaces, which functions and secrets live in.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Provider, accepted, function, unique, with};
use crate::swarm::has_service;

async fn second(provider: &Provider) -> String {
    let name = format!("{}-2", provider.namespace);
    let body = json!({"name": name, "labels": {"openfaas": "1"}, "annotations": {"owner": "me"}});
    let created = provider.post("/system/namespace/", &body).await;
    assert_eq!(created, (StatusCode::CREATED, String::new()));
    name
}

#[tokio::test]
async fn a_namespace_is_created_shown_updated_and_deleted() {
    let provider = Provider::start().await;
    let name = second(&provider).await;
    let path = format!("/system/namespace/{name}");
    let shown = json!({"name": name, "labels": {"openfaas": "1"}, "annotations": {"owner": "me"}});
    assert_eq!(provider.json(&path).await, shown);
    let all = provider.json("/system/namespaces").await;
    assert!(all.as_array().unwrap().contains(&json!(name)), "{all}");
    assert!(
        all.as_array().unwrap().contains(&json!(provider.namespace)),
        "{all}"
    );

    let body = json!({"name": name, "labels": {"openfaas": "1"}});
    assert_eq!(provider.post("/system/namespace/", &body).await.0, 409);
    assert_eq!(provider.put(&path, &body).await, accepted());
    assert_eq!(provider.json(&path).await["annotations"], Value::Null);
    assert_eq!(provider.remove(&path, &body).await, accepted());
    assert_eq!(provider.get(&path).await.0, 404);
    assert_eq!(provider.remove(&path, &body).await.0, 404);
}

#[tokio::test]
async fn functions_of_one_name_in_two_namespaces_are_two_functions() {
    let provider = Provider::start().await;
    let namespace = second(&provider).await;
    let name = unique("both");
    provider.have(&function(&name, "echo here")).await;
    let there = with(
        function(&name, "echo there"),
        json!({"namespace": namespace}),
    );
    assert_eq!(provider.deploy(&there).await, accepted());
    provider
        .available(&format!("{name}?namespace={namespace}"), 1)
        .await;
    assert!(has_service(&format!("{namespace}_{name}")));

    assert_eq!(provider.call(&name, "").await.1, "here\n");
    assert_eq!(
        provider.call(&format!("{name}.{namespace}"), "").await.1,
        "there\n"
    );
    let listed = provider
        .json(&format!("/system/functions?namespace={namespace}"))
        .await;
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let lines = provider
        .log_lines(&name, &format!("&namespace={namespace}"))
        .await;
    assert!(
        lines
            .iter()
            .all(|line| line["namespace"] == namespace.as_str()),
        "{lines:?}"
    );

    let (status, words) = provider
        .remove(&format!("/system/namespace/{namespace}"), &json!({}))
        .await;
    assert_eq!(
        (status, words.contains("is not empty")),
        (StatusCode::CONFLICT, true),
        "{words}"
    );
    assert_eq!(
        provider.delete(&format!("{name}.{namespace}")).await,
        accepted()
    );
    assert_eq!(provider.call(&name, "").await.1, "here\n");
}

#[tokio::test]
async fn names_that_swarm_has_no_room_for_are_refused_with_the_reason() {
    let provider = Provider::start().await;
    let namespace = second(&provider).await;
    let long = with(
        function(&"a".repeat(60), "cat"),
        json!({"namespace": namespace}),
    );
    let (status, words) = provider.deploy(&long).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(words.contains("63 characters"), "{words}");
    let secret = json!({"name": "a".repeat(60), "value": "x"});
    assert_eq!(provider.post("/system/secrets", &secret).await.0, 400);
}
