//! Every mistake that a body can have: its status, and one line that names the field.

use serde_json::{Value, json};

use crate::support::Api;

/// Every route that reads a body.
const READERS: [(&str, &str); 10] = [
    ("POST", "/system/functions"),
    ("PUT", "/system/functions"),
    ("DELETE", "/system/functions"),
    ("POST", "/system/scale-function/echo"),
    ("POST", "/system/secrets"),
    ("PUT", "/system/secrets"),
    ("DELETE", "/system/secrets"),
    ("POST", "/system/namespace/"),
    ("PUT", "/system/namespace/dev"),
    ("PUT", "/system/namespaces/dev"),
];

#[tokio::test]
async fn what_is_no_json_object_is_400_on_every_route() {
    let api = Api::start().await;
    for (method, path) in READERS {
        for (body, line) in [
            (&b""[..], "body: empty"),
            (b"  \n", "body: empty"),
            (b"{", "body: not JSON"),
            (b"{} {}", "body: not JSON"),
            (b"not json", "body: not JSON"),
            (b"[]", "body: a JSON object is expected"),
            (b"null", "body: a JSON object is expected"),
            (b"{\"a\":\"\xff\"}", "body: not UTF-8"),
        ] {
            api.send(method, path, body).await.refuses(400, line);
        }
    }
}

#[tokio::test]
async fn a_mebibyte_is_read_and_a_byte_more_is_413() {
    let api = Api::start().await;
    let body = |size: usize| {
        let frame = json!({"service": "big", "image": "i", "x": ""})
            .to_string()
            .len();
        json!({"service": "big", "image": "i", "x": "x".repeat(size - frame)}).to_string()
    };
    api.send("POST", "/system/functions", body(1024 * 1024))
        .await
        .is(202);
    for (method, path) in READERS {
        for size in [1024 * 1024 + 1, 5 * 1024 * 1024] {
            api.send(method, path, body(size))
                .await
                .refuses(413, "the body is larger than 1048576 bytes");
        }
    }
}

#[tokio::test]
async fn a_large_body_without_length_is_413_too() {
    let api = Api::start().await;
    let pieces = (0..40).map(|_| Ok::<_, std::io::Error>(vec![b' '; 64 * 1024]));
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    api.send("POST", "/system/functions", body)
        .await
        .refuses(413, "the body is larger");
}

#[tokio::test]
async fn each_mistake_in_a_deployment_names_its_field_and_changes_nothing() {
    let api = Api::start().await;
    api.deploy("echo").await;
    let before = api.get("/system/functions").await.body;
    for (field, value, line) in [
        ("service", json!(""), "service: required"),
        ("service", json!(null), "service: required"),
        (
            "service",
            json!("../x"),
            "service: `../x` is no function name",
        ),
        (
            "service",
            json!("Upper"),
            "service: `Upper` is no function name",
        ),
        ("service", json!("a".repeat(64)), "service: `aaa"),
        ("service", json!(5), "service: invalid type"),
        ("image", json!(""), "image: required"),
        ("image", json!("a b"), "image: no reference"),
        ("image", json!("a\nb"), "image: no reference"),
        ("envProcess", json!("a\u{0}b"), "envProcess: contains a NUL"),
        ("envProcess", json!(["cat"]), "envProcess: invalid type"),
        ("envVars", json!({"A": 1}), "envVars.A: invalid type"),
        ("envVars", json!({"A=B": ""}), "envVars.A=B: "),
        (
            "envVars",
            json!({"A": "\u{0}"}),
            "envVars.A: contains a NUL",
        ),
        ("labels", json!({"a": true}), "labels.a: invalid type"),
        ("labels", json!("a=b"), "labels: invalid type"),
        (
            "labels",
            json!({"com.openfaas.scale.min": "-1"}),
            "labels.com.openfaas.scale.min: `-1`",
        ),
        (
            "labels",
            json!({"com.openfaas.scale.max": "101"}),
            "labels.com.openfaas.scale.max: above max_replicas=100",
        ),
        (
            "labels",
            json!({"faas_function": "other"}),
            "labels.faas_function: set by the provider",
        ),
        ("annotations", json!([]), "annotations: invalid type"),
        (
            "annotations",
            json!({"com.openfaas.timeout": "soon"}),
            "annotations.com.openfaas.timeout: `soon`",
        ),
        ("constraints", json!("a"), "constraints: invalid type"),
        ("secrets", json!([1]), "secrets[0]: invalid type"),
        (
            "secrets",
            json!(["../etc/passwd"]),
            "secrets: `../etc/passwd` is no name",
        ),
        ("secrets", json!(["s", "s"]), "secrets: `s` is named twice"),
        ("limits", json!({"memory": "lots"}), "limits.memory: `lots`"),
        (
            "limits",
            json!({"memory": 5}),
            "limits.memory: invalid type",
        ),
        ("limits", json!("128Mi"), "limits: invalid type"),
        ("requests", json!({"cpu": "-1"}), "requests.cpu: `-1`"),
        (
            "readOnlyRootFilesystem",
            json!("yes"),
            "readOnlyRootFilesystem: invalid type",
        ),
    ] {
        for method in ["POST", "PUT"] {
            let mut wish = json!({"service": "echo", "image": "i"});
            wish[field] = value.clone();
            api.send(method, "/system/functions", wish.to_string())
                .await
                .refuses(400, line);
        }
    }
    assert_eq!(api.get("/system/functions").await.body, before);
}

#[tokio::test]
async fn keys_may_have_any_case_and_null_is_nothing() {
    let api = Api::start().await;
    let wish = r#"{"Service":"echo","IMAGE":"i","envprocess":"cat","EnvVars":{"Case":"Kept"},"labels":null,"limits":null,
        "secrets":null,"annotations":{"Own":"Case"},"namespace":null,"unknown":{"deep":[1]}}"#;
    api.send("POST", "/system/functions", wish).await.is(202);
    let status = api.get("/system/function/echo").await.json();
    assert_eq!(status["envProcess"], "cat");
    assert_eq!(status["envVars"], json!({"Case": "Kept"}));
    assert_eq!(status["annotations"], json!({"Own": "Case"}));
    assert_eq!(status["labels"], json!({"faas_function": "echo"}));
}

#[tokio::test]
async fn of_a_repeated_key_the_last_counts() {
    let api = Api::start().await;
    let wish = r#"{"service":"a","image":"first","image":"last"}"#;
    api.send("POST", "/system/functions", wish).await.is(202);
    assert_eq!(api.get("/system/function/a").await.json()["image"], "last");
}

#[tokio::test]
async fn the_content_type_is_not_looked_at() {
    let api = Api::start().await;
    for (name, kind) in [
        ("a", "text/plain"),
        ("b", "application/x-www-form-urlencoded"),
        ("c", ""),
    ] {
        let wish = json!({"service": name, "image": "i"}).to_string();
        let request = api
            .request("POST", "/system/functions")
            .header("content-type", kind);
        crate::support::answer(request.body(wish)).await.is(202);
    }
}

#[tokio::test]
async fn a_function_to_delete_must_be_named_by_a_name() {
    let api = Api::start().await;
    let delete = |body: Value| api.delete("/system/functions", body);
    delete(json!({}))
        .await
        .refuses(400, "functionName: required");
    delete(json!({"functionName": ""}))
        .await
        .refuses(400, "functionName: required");
    delete(json!({"functionName": 1}))
        .await
        .refuses(400, "functionName: invalid type");
    delete(json!({"functionName": "../x"}))
        .await
        .refuses(400, "functionName: `../x` is no function name");
    delete(json!({"functionName": "a/b"}))
        .await
        .refuses(400, "functionName: `a/b` is no function name");
}
