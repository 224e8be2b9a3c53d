//! Namespaces: the default one always, others as they are created.

use serde_json::{Value, json};

use crate::support::Api;

fn marked(name: &str) -> Value {
    json!({"name": name, "labels": {"openfaas": "1"}})
}

#[tokio::test]
async fn the_default_namespace_is_always_there() {
    let api = Api::start().await;
    assert_eq!(
        api.get("/system/namespaces").await.json(),
        json!(["openfaas-fn"])
    );
    assert_eq!(
        api.get("/system/namespace/openfaas-fn").await.json(),
        json!({"name": "openfaas-fn"})
    );
}

#[tokio::test]
async fn a_namespace_is_created_once_shown_replaced_and_deleted() {
    let api = Api::start().await;
    api.post("/system/namespace/", marked("prod")).await.is(201);
    api.post("/system/namespace/dev", marked("dev"))
        .await
        .is(201);
    api.post("/system/namespace/", marked("dev"))
        .await
        .refuses(409, "namespace dev already exists");
    assert_eq!(
        api.get("/system/namespaces").await.json(),
        json!(["dev", "openfaas-fn", "prod"])
    );

    let changed = json!({"name": "dev", "annotations": {"openfaas": "true", "a": "b"}});
    api.put("/system/namespace/dev", changed.clone())
        .await
        .is(202);
    for path in ["/system/namespace/dev", "/system/namespaces/dev"] {
        assert_eq!(api.get(path).await.json(), changed);
    }
    api.send("DELETE", "/system/namespace/dev", "")
        .await
        .is(202);
    api.delete("/system/namespaces/prod", marked("prod"))
        .await
        .is(202);
    api.get("/system/namespace/dev")
        .await
        .refuses(404, "namespace dev not found");
    api.put("/system/namespace/dev", marked("dev"))
        .await
        .refuses(404, "namespace dev not found");
    api.send("DELETE", "/system/namespace/dev", "")
        .await
        .refuses(404, "namespace dev not found");
}

#[tokio::test]
async fn each_mistake_names_its_field() {
    let api = Api::start().await;
    for (path, body, line) in [
        (
            "/system/namespace/",
            json!({"labels": {"openfaas": "1"}}),
            "name: required",
        ),
        (
            "/system/namespace/",
            marked("Upper"),
            "name: `Upper` is no name of a namespace",
        ),
        (
            "/system/namespace/",
            marked("../x"),
            "name: `../x` is no name of a namespace",
        ),
        (
            "/system/namespace/dev",
            marked("prod"),
            "name: the path names another namespace",
        ),
        (
            "/system/namespace/",
            json!({"name": "dev"}),
            "labels.openfaas: required",
        ),
        (
            "/system/namespace/",
            json!({"name": "dev", "labels": {"openfaas": "0"}}),
            "labels.openfaas: required",
        ),
        (
            "/system/namespace/",
            json!({"name": "dev", "labels": {"openfaas": 1}}),
            "labels.openfaas: invalid type",
        ),
    ] {
        api.post(path, body).await.refuses(400, line);
    }
    api.put("/system/namespace/dev", marked("prod"))
        .await
        .refuses(400, "name: the path names another");
    for method in ["GET", "PUT", "DELETE"] {
        api.send(method, "/system/namespace/", "{}")
            .await
            .refuses(400, "namespace: the path has no name");
    }
    assert_eq!(
        api.get("/system/namespaces").await.json(),
        json!(["openfaas-fn"])
    );
}

#[tokio::test]
async fn a_namespace_with_functions_stays() {
    let api = Api::start().await;
    api.post("/system/namespace/", marked("dev")).await.is(201);
    api.post(
        "/system/functions?namespace=dev",
        json!({"service": "echo", "image": "i"}),
    )
    .await
    .is(202);
    api.send("DELETE", "/system/namespace/dev", "")
        .await
        .refuses(409, "namespace dev is not empty");
}
