//! The JSON that clients read, field by field.

use serde_json::{Value, json};

use crate::support::{Provider, accepted, function};

/// A deployment with every field there is.
fn whole() -> Value {
    json!({
        "service": "resize",
        "image": "registry.example/img/resize:2",
        "namespace": "openfaas-fn",
        "envProcess": "wc -c",
        "envVars": {"MODE": "fast", "EMPTY": "", "ODD": "a=b {{x}} \"ö\"\n"},
        "constraints": ["node.role == worker", "a"],
        "secrets": ["z-key", "a-key"],
        "labels": {"com.openfaas.scale.min": "2", "team": ""},
        "annotations": {"owner": "media", "json": "{\"a\":\t1}"},
        "limits": {"memory": "128Mi", "cpu": "0.5"},
        "requests": {"memory": "1M", "cpu": "100m"},
        "readOnlyRootFilesystem": true,
        "network": "func_functions",
        "registryAuth": "dXNlcjpwYXNz",
    })
}

#[tokio::test]
async fn status_and_list_show_what_was_deployed_byte_for_byte() {
    let provider = Provider::start().await;
    for name in ["z-key", "a-key"] {
        provider
            .create_secret(&json!({"name": name, "value": "x"}))
            .await;
    }
    assert_eq!(provider.post_function(&whole()).await, accepted());
    provider.available("resize", 2).await;

    let status = provider.status("resize").await;
    let expected = json!({
        "name": "resize",
        "image": "registry.example/img/resize:2",
        "namespace": "openfaas-fn",
        "envProcess": "wc -c",
        "envVars": {"MODE": "fast", "EMPTY": "", "ODD": "a=b {{x}} \"ö\"\n"},
        "constraints": ["node.role == worker", "a"],
        "secrets": ["z-key", "a-key"],
        "labels": {"com.openfaas.scale.min": "2", "faas_function": "resize", "team": ""},
        "annotations": {"owner": "media", "json": "{\"a\":\t1}"},
        "limits": {"memory": "128Mi", "cpu": "0.5"},
        "requests": {"memory": "1M", "cpu": "100m"},
        "readOnlyRootFilesystem": true,
        "invocationCount": 0,
        "replicas": 2,
        "availableReplicas": 2,
        "createdAt": status["createdAt"],
    });
    assert_eq!(status, expected);
    assert_eq!(provider.json("/system/functions").await, json!([expected]));
}

#[tokio::test]
async fn what_was_not_deployed_is_absent_but_labels_annotations_and_counts_are_there() {
    let provider = Provider::start().await;
    provider.have(&function("count", "wc -c")).await;
    provider.scale("count", 0).await;
    provider.available("count", 0).await;
    let status = provider.status("count").await;
    let expected = json!({
        "name": "count",
        "image": "any",
        "namespace": "openfaas-fn",
        "envProcess": "wc -c",
        "labels": {"faas_function": "count"},
        "annotations": {},
        "invocationCount": 0,
        "replicas": 0,
        "availableReplicas": 0,
        "createdAt": status["createdAt"],
    });
    assert_eq!(status, expected);
}

#[tokio::test]
async fn an_update_leaves_nothing_of_the_old_deployment() {
    let provider = Provider::start().await;
    let mut old = whole();
    old["secrets"] = json!([]);
    assert_eq!(provider.post_function(&old).await, accepted());
    assert_eq!(
        provider.update(&function("resize", "cat")).await,
        accepted()
    );
    let status = provider.status("resize").await;
    for gone in [
        "envVars",
        "constraints",
        "secrets",
        "limits",
        "requests",
        "readOnlyRootFilesystem",
    ] {
        assert_eq!(status.get(gone), None, "{gone}");
    }
    assert_eq!(status["labels"], json!({"faas_function": "resize"}));
    assert_eq!(status["annotations"], json!({}));
}

#[tokio::test]
async fn who_answers_says_so() {
    let provider = Provider::start().await;
    let info = provider.json("/system/info").await;
    assert_eq!(info["provider"], "provider-memory");
    assert_eq!(info["orchestration"], "processes");
    assert!(info["version"]["release"].is_string() && info["version"]["sha"].is_string());
    assert_eq!(provider.get("/healthz").await.0, 200);
}
