//! What was deployed comes back as it was sent, byte for byte.

use serde_json::json;

use crate::support::Api;

#[tokio::test]
async fn texts_come_back_byte_for_byte() {
    let api = Api::start().await;
    let long = "ü\t".repeat(5 * 1024);
    let texts = json!({
        "plain": "value", "empty": "", "unicode": "Grüße ✓ 日本語 🦀 e\u{301}", "tab": "\ta\tb\t", "newline": "a\nb\r\n",
        "quotes": "\"'\\`$(x) ${y} {{.Z}} %20 &<>", "blanks": "  both ends  ", "control": "\u{1}\u{7f}\u{85}\u{2028}",
        "long": long, "": "empty key", "Ключ/with.every-thing_1": "key",
    });
    let variables = json!({"PATH": "/a:/b", "lower": "a=b=c", "multi": "line 1\nline 2\n", "tab": "\t", "long": long, "ö": "ä"});
    let wish = json!({
        "service": "echo", "image": "registry.example:5000/team/echo:1.2@sha256:00ff", "envProcess": "sh -c 'cat  \"$@\"'\t\n",
        "envVars": variables, "labels": texts, "annotations": texts, "secrets": ["z", "a", "m"],
        "constraints": ["node.role == worker", " a  b "], "limits": {"memory": "1024Mi", "cpu": "0.50"},
        "requests": {"memory": "128m", "cpu": "100m", "nvidia.com/gpu": "1"}, "readOnlyRootFilesystem": true,
    });
    api.post("/system/functions", wish.clone()).await.is(202);
    let status = api.get("/system/function/echo").await.json();
    for field in [
        "image",
        "envProcess",
        "envVars",
        "annotations",
        "secrets",
        "constraints",
        "limits",
        "requests",
        "readOnlyRootFilesystem",
    ] {
        assert_eq!(status[field], wish[field], "{field}");
    }
    let mut labels = status["labels"].clone();
    assert_eq!(
        labels.as_object_mut().unwrap().remove("faas_function"),
        Some(json!("echo"))
    );
    assert_eq!(labels, wish["labels"]);
    assert_eq!(api.get("/system/functions").await.json()[0], status);
}

#[tokio::test]
async fn what_was_not_deployed_is_absent_and_labels_and_annotations_are_always_objects() {
    let api = Api::start().await;
    api.deploy("bare").await;
    assert_eq!(
        api.get("/system/function/bare").await.body,
        r#"{"name":"bare","image":"i","namespace":"openfaas-fn","labels":{"faas_function":"bare"},"annotations":{},"invocationCount":0,"replicas":1,"availableReplicas":0}"#
    );
    let empty = json!({"service": "bare", "image": "i", "envVars": {}, "labels": {}, "annotations": {}, "secrets": [],
        "constraints": [], "envProcess": "", "readOnlyRootFilesystem": false});
    let before = api.get("/system/function/bare").await.body;
    api.put("/system/functions", empty).await.is(202);
    assert_eq!(api.get("/system/function/bare").await.body, before);
}

#[tokio::test]
async fn everything_that_was_deployed_is_shown() {
    let api = Api::start().await;
    let wish = json!({
        "service": "resize", "image": "registry.example/img/resize:2", "envProcess": "./handler", "envVars": {"MODE": "fast"},
        "secrets": ["s3-key"], "labels": {"com.openfaas.scale.min": "2"}, "annotations": {"owner": "media"},
        "limits": {"memory": "128Mi", "cpu": "200m"}, "readOnlyRootFilesystem": true,
    });
    api.post("/system/functions", wish).await.is(202);
    api.post("/system/scale-function/resize", json!({"replicas": 0}))
        .await
        .is(202);
    assert_eq!(
        api.get("/system/function/resize").await.body,
        r#"{"name":"resize","image":"registry.example/img/resize:2","namespace":"openfaas-fn","envProcess":"./handler","envVars":{"MODE":"fast"},"secrets":["s3-key"],"labels":{"com.openfaas.scale.min":"2","faas_function":"resize"},"annotations":{"owner":"media"},"limits":{"memory":"128Mi","cpu":"200m"},"readOnlyRootFilesystem":true,"invocationCount":0,"replicas":0,"availableReplicas":0}"#
    );
}

#[test]
fn a_status_without_labels_is_written_with_empty_ones_and_null_is_read_as_empty() {
    let old = r#"{"name":"f","image":"i","labels":null,"envVars":null,"secrets":null,"constraints":null,"limits":null}"#;
    let status: faas_provider::FunctionStatus = serde_json::from_str(old).unwrap();
    let text = serde_json::to_string(&status).unwrap();
    assert_eq!(
        text,
        r#"{"name":"f","image":"i","labels":{},"annotations":{},"invocationCount":0,"replicas":0,"availableReplicas":0}"#
    );
}

#[test]
fn the_time_of_creation_is_written_as_rfc_3339() {
    let text = r#"{"name":"f","image":"i","labels":{},"annotations":{},"invocationCount":7,"replicas":2,"availableReplicas":1,"createdAt":"2026-01-02T03:04:05Z"}"#;
    let status: faas_provider::FunctionStatus = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&status).unwrap(), text);
    // What other providers write for "unknown" is read as well.
    let unset = text.replace("2026-01-02T03:04:05Z", "0001-01-01T00:00:00Z");
    assert!(serde_json::from_str::<faas_provider::FunctionStatus>(&unset).is_ok());
}
