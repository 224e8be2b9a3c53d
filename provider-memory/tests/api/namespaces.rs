//! Namespaces: made, read, changed, removed when empty; names in them are apart.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Provider, accepted, function, ok, with};

#[tokio::test]
async fn a_namespace_is_created_listed_changed_and_deleted() {
    let provider = Provider::start().await;
    provider.create_namespace("dev").await;
    let again = json!({"name": "dev", "labels": {"openfaas": "1"}});
    let again = provider.post("/system/namespace/", &again).await;
    assert_eq!(again.0, StatusCode::CONFLICT);
    assert_eq!(
        provider.json("/system/namespaces").await,
        json!(["dev", "openfaas-fn"])
    );

    let changed = json!({"name": "dev", "labels": {"openfaas": "1", "team": "a"}});
    let path = "/system/namespace/dev";
    assert_eq!(provider.send(Method::PUT, path, &changed).await, accepted());
    assert_eq!(provider.json(path).await["labels"], changed["labels"]);
    assert_eq!(
        provider.send(Method::DELETE, path, &changed).await,
        accepted()
    );
    assert_eq!(provider.get(path).await.0, StatusCode::NOT_FOUND);
    assert_eq!(
        provider.send(Method::DELETE, path, &changed).await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        provider.json("/system/namespaces").await,
        json!(["openfaas-fn"])
    );
}

#[tokio::test]
async fn only_an_empty_namespace_can_be_deleted() {
    let provider = Provider::start().await;
    provider.create_namespace("dev").await;
    let body = with(function("count", "wc -c"), json!({"namespace": "dev"}));
    provider.have(&body).await;
    let marker = json!({"name": "dev", "labels": {"openfaas": "1"}});
    let path = "/system/namespace/dev";
    let (status, words) = provider.send(Method::DELETE, path, &marker).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(words, "namespace dev still has 1 functions and 0 secrets\n");
    assert_eq!(provider.call("count.dev", "hello").await, ok("5\n"));
    assert_eq!(provider.delete("count.dev").await, accepted());
    let secret = json!({"name": "key", "value": "x", "namespace": "dev"});
    provider.create_secret(&secret).await;
    assert_eq!(
        provider.send(Method::DELETE, path, &marker).await.0,
        StatusCode::CONFLICT
    );
    provider
        .send(Method::DELETE, "/system/secrets", &secret)
        .await;
    assert_eq!(
        provider.send(Method::DELETE, path, &marker).await,
        accepted()
    );
}

#[tokio::test]
async fn the_default_namespace_stays() {
    let provider = Provider::start().await;
    let body = json!({"name": "openfaas-fn", "labels": {"openfaas": "1"}});
    let path = "/system/namespace/openfaas-fn";
    let (status, words) = provider.send(Method::DELETE, path, &body).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(
        words,
        "namespace openfaas-fn is the default one and stays\n"
    );
}

#[tokio::test]
async fn functions_of_one_name_live_apart_in_two_namespaces() {
    let provider = Provider::start().await;
    provider.create_namespace("dev").await;
    // With limits, so that each replica has a cgroup, which must not be one.
    let limits = json!({"limits": {"memory": "64Mi", "cpu": "500m"}});
    let here = with(function("same", "wc -c"), limits.clone());
    let there = with(
        with(function("same", "cat"), limits),
        json!({"namespace": "dev"}),
    );
    provider.have(&here).await;
    provider.have(&there).await;
    assert_eq!(provider.call("same", "hello").await, ok("5\n"));
    assert_eq!(provider.call("same.dev", "hello").await, ok("hello"));
    assert_eq!(
        provider
            .json("/system/functions")
            .await
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    assert_eq!(
        provider.status("same?namespace=dev").await["envProcess"],
        "cat"
    );

    // The first try of each: nothing stood in its way.
    for query in ["", "&namespace=dev"] {
        let lines = provider.log_lines("same", query).await;
        assert!(
            lines.iter().all(|line| line["instance"] == "same-1"),
            "{lines:?}"
        );
    }

    assert_eq!(provider.delete("same.dev").await, accepted());
    assert_eq!(provider.call("same.dev", "").await.0, StatusCode::NOT_FOUND);
    assert_eq!(provider.call("same", "hello").await, ok("5\n"));
}

#[tokio::test]
async fn an_unknown_namespace_is_the_callers_mistake() {
    let provider = Provider::start().await;
    let body = with(function("count", "wc -c"), json!({"namespace": "nowhere"}));
    let (status, words) = provider.post_function(&body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        words,
        "namespace: `nowhere` does not exist; create it first\n"
    );
    let listed = provider.get("/system/functions?namespace=nowhere").await;
    assert_eq!(listed.0, StatusCode::NOT_FOUND);
    assert_eq!(
        provider.call("count.nowhere", "").await.0,
        StatusCode::NOT_FOUND
    );
}
