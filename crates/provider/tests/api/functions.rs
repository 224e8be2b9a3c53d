//! The life of a function: deploy, status, list, update, scale, delete.

use serde_json::json;

use crate::support::Api;

#[tokio::test]
async fn a_deployed_function_is_there_at_once_and_a_deleted_one_gone_at_once() {
    let api = Api::start().await;
    api.get("/system/function/echo")
        .await
        .refuses(404, "function echo.openfaas-fn not found");
    api.deploy("echo").await;
    assert_eq!(api.get("/system/function/echo").await.json()["replicas"], 1);

    api.delete("/system/functions", json!({"functionName": "echo"}))
        .await
        .is(202);
    api.get("/system/function/echo")
        .await
        .refuses(404, "function echo.openfaas-fn not found");
    assert_eq!(api.get("/system/functions").await.json(), json!([]));
    api.delete("/system/functions", json!({"functionName": "echo"}))
        .await
        .refuses(404, "function echo.openfaas-fn not found");
}

#[tokio::test]
async fn what_is_deployed_already_is_409_and_what_is_not_cannot_be_updated() {
    let api = Api::start().await;
    let wish = json!({"service": "echo", "image": "i"});
    api.put("/system/functions", wish.clone())
        .await
        .refuses(404, "function echo.openfaas-fn not found");
    api.post("/system/functions", wish.clone()).await.is(202);
    api.post("/system/functions", wish)
        .await
        .refuses(409, "function echo.openfaas-fn already exists");
    api.put(
        "/system/functions",
        json!({"service": "echo", "image": "i2"}),
    )
    .await
    .is(202);
    assert_eq!(api.get("/system/function/echo").await.json()["image"], "i2");
}

#[tokio::test]
async fn the_list_is_sorted_by_name() {
    let api = Api::start().await;
    for name in ["b", "c", "a"] {
        api.deploy(name).await;
    }
    let list = api.get("/system/functions").await.json();
    let names: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[tokio::test]
async fn scaling_shows_at_once_and_zero_is_allowed() {
    let api = Api::start().await;
    api.deploy("echo").await;
    for replicas in [5, 0, 100] {
        api.post(
            "/system/scale-function/echo",
            json!({"serviceName": "echo", "replicas": replicas}),
        )
        .await
        .is(202);
        assert_eq!(
            api.get("/system/function/echo").await.json()["replicas"],
            replicas
        );
    }
    // The name in the body may be left out, or be the full one.
    api.post("/system/scale-function/echo", json!({"replicas": 2}))
        .await
        .is(202);
    api.post(
        "/system/scale-function/echo",
        json!({"serviceName": "echo.openfaas-fn", "replicas": 2}),
    )
    .await
    .is(202);
}

#[tokio::test]
async fn what_cannot_be_scaled_is_told() {
    let api = Api::start().await;
    api.deploy("echo").await;
    api.post("/system/scale-function/none", json!({"replicas": 1}))
        .await
        .refuses(404, "function none.openfaas-fn not found");
    api.post("/system/scale-function/echo", json!({"replicas": 101}))
        .await
        .refuses(400, "replicas: 101 is above max_replicas=100");
    api.post("/system/scale-function/echo", json!({"replicas": -1}))
        .await
        .refuses(400, "replicas: invalid value");
    api.post("/system/scale-function/echo", json!({"replicas": 1.5}))
        .await
        .refuses(400, "replicas: invalid type");
    api.post(
        "/system/scale-function/echo",
        json!({"serviceName": "other", "replicas": 1}),
    )
    .await
    .refuses(
        400,
        "serviceName: the path says `echo`, the body says `other`",
    );
    assert_eq!(api.get("/system/function/echo").await.json()["replicas"], 1);
}

#[tokio::test]
async fn usage_is_told_to_those_who_ask() {
    let api = Api::start().await;
    api.deploy("echo").await;
    for asked in ["1", "true"] {
        let status = api
            .get(&format!("/system/function/echo?usage={asked}"))
            .await
            .json();
        assert_eq!(
            status["usage"],
            json!({"cpu": 12.5, "totalMemoryBytes": 4096.0})
        );
    }
    for not in ["", "?usage=false", "?usage=0", "?usage="] {
        let status = api.get(&format!("/system/function/echo{not}")).await.json();
        assert_eq!(status.get("usage"), None, "{not}");
    }
}

#[tokio::test]
async fn a_function_of_a_namespace_is_found_by_query_body_and_full_name() {
    let api = Api::start().await;
    api.post(
        "/system/functions",
        json!({"service": "echo", "image": "dev", "namespace": "dev"}),
    )
    .await
    .is(202);
    api.post(
        "/system/functions?namespace=prod",
        json!({"service": "echo", "image": "prod"}),
    )
    .await
    .is(202);
    api.deploy("echo").await;

    for (path, image) in [
        ("/system/function/echo", "i"),
        ("/system/function/echo.openfaas-fn", "i"),
        ("/system/function/echo?namespace=", "i"),
        ("/system/function/echo?namespace=dev", "dev"),
        ("/system/function/echo.prod", "prod"),
        ("/system/function/echo.prod?namespace=prod", "prod"),
    ] {
        assert_eq!(api.get(path).await.json()["image"], image, "{path}");
    }
    let scale = |path: &'static str, body| api.post(path, body);
    scale(
        "/system/scale-function/echo?namespace=dev",
        json!({"replicas": 2}),
    )
    .await
    .is(202);
    scale("/system/scale-function/echo.prod", json!({"replicas": 3}))
        .await
        .is(202);
    scale(
        "/system/scale-function/echo",
        json!({"replicas": 4, "namespace": "openfaas-fn"}),
    )
    .await
    .is(202);
    for (namespace, replicas) in [("dev", 2), ("prod", 3), ("openfaas-fn", 4)] {
        let list = api
            .get(&format!("/system/functions?namespace={namespace}"))
            .await
            .json();
        assert_eq!(
            (list.as_array().unwrap().len(), &list[0]["replicas"]),
            (1, &json!(replicas))
        );
    }

    api.delete(
        "/system/functions?namespace=dev",
        json!({"functionName": "echo"}),
    )
    .await
    .is(202);
    api.delete(
        "/system/functions",
        json!({"functionName": "echo", "namespace": "prod"}),
    )
    .await
    .is(202);
    api.delete(
        "/system/functions",
        json!({"functionName": "echo.openfaas-fn"}),
    )
    .await
    .is(202);
    for namespace in ["dev", "prod", "openfaas-fn"] {
        let list = api
            .get(&format!("/system/functions?namespace={namespace}"))
            .await
            .json();
        assert_eq!(list, json!([]));
    }
}

#[tokio::test]
async fn two_places_that_name_different_namespaces_are_told_apart() {
    let api = Api::start().await;
    let wish = json!({"service": "echo", "image": "i", "namespace": "dev"});
    let contradiction = "namespace: the query says `prod`, the body says `dev`";
    api.post("/system/functions?namespace=prod", wish.clone())
        .await
        .refuses(400, contradiction);
    api.put("/system/functions?namespace=prod", wish)
        .await
        .refuses(400, contradiction);
    let delete = json!({"functionName": "echo", "namespace": "dev"});
    api.delete("/system/functions?namespace=prod", delete)
        .await
        .refuses(400, contradiction);
    let scale = json!({"replicas": 1, "namespace": "dev"});
    api.post("/system/scale-function/echo?namespace=prod", scale.clone())
        .await
        .refuses(400, contradiction);
    api.post("/system/scale-function/echo.prod", scale)
        .await
        .refuses(400, "namespace: the body says `dev`, the name says `prod`");
    api.get("/system/function/echo.dev?namespace=prod")
        .await
        .refuses(400, "namespace: the query says `prod`, the name says `dev`");
}

#[tokio::test]
async fn what_is_no_namespace_is_told_everywhere() {
    let api = Api::start().await;
    let line = "namespace: `../x` is no name of a namespace";
    api.get("/system/functions?namespace=..%2Fx")
        .await
        .refuses(400, line);
    api.get("/system/function/echo?namespace=..%2Fx")
        .await
        .refuses(400, line);
    api.get("/system/secrets?namespace=..%2Fx")
        .await
        .refuses(400, line);
    api.get("/system/logs?name=echo&namespace=..%2Fx")
        .await
        .refuses(400, line);
    let wish = json!({"service": "echo", "image": "i", "namespace": "../x"});
    api.post("/system/functions", wish).await.refuses(400, line);
}

#[tokio::test]
async fn a_backend_that_fails_is_500_without_its_words() {
    let api = Api::start().await;
    api.provider.fail("cannot open /private/path");
    for path in [
        "/system/functions",
        "/system/function/echo",
        "/system/secrets",
        "/system/namespaces",
    ] {
        let answer = api.get(path).await;
        answer.refuses(500, "the provider failed; its log says why");
    }
}
