//! Who may use `/system`.

use serde_json::json;

use crate::support::{Api, answer};

const GUARDED: [(&str, &str); 20] = [
    ("GET", "/system/functions"),
    ("POST", "/system/functions"),
    ("PUT", "/system/functions"),
    ("DELETE", "/system/functions"),
    ("GET", "/system/function/echo"),
    ("POST", "/system/scale-function/echo"),
    ("GET", "/system/info"),
    ("GET", "/system/secrets"),
    ("POST", "/system/secrets"),
    ("PUT", "/system/secrets"),
    ("DELETE", "/system/secrets"),
    ("GET", "/system/logs?name=echo"),
    ("GET", "/system/namespaces"),
    ("POST", "/system/namespace/"),
    ("GET", "/system/namespace/dev"),
    ("PUT", "/system/namespace/dev"),
    ("DELETE", "/system/namespace/dev"),
    ("PUT", "/system/namespaces/dev"),
    ("GET", "/system/endpoints"),
    ("HEAD", "/system/functions"),
];

#[tokio::test]
async fn every_system_route_wants_the_right_credentials() {
    let api = Api::guarded().await;
    for (method, path) in GUARDED {
        for attempt in [
            api.request(method, path),
            api.request(method, path).basic_auth("admin", Some("wrong")),
            api.request(method, path)
                .basic_auth("other", Some("secret")),
            api.request(method, path).basic_auth("admin", None::<&str>),
            api.request(method, path).bearer_auth("secret"),
            api.request(method, path).header("authorization", "Basic !"),
        ] {
            let answer = answer(attempt).await;
            assert_eq!(answer.status, 401, "{method} {path}");
            assert_eq!(
                answer.header("www-authenticate"),
                "Basic realm=\"Restricted\""
            );
        }
    }
}

#[tokio::test]
async fn the_refusal_is_the_one_that_clients_know() {
    let api = Api::guarded().await;
    let raw = api
        .raw("GET /system/functions HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n")
        .await;
    assert!(raw.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{raw}");
    assert!(
        raw.contains("\r\nWww-Authenticate: Basic realm=\"Restricted\"\r\n"),
        "{raw}"
    );
    assert!(raw.ends_with("\r\n\r\ninvalid credentials"), "{raw}");
}

#[tokio::test]
async fn with_the_right_credentials_everything_answers() {
    let api = Api::guarded().await;
    for (method, path) in GUARDED {
        let response = api
            .request(method, path)
            .basic_auth("admin", Some("secret"))
            .send()
            .await
            .unwrap();
        assert_ne!(response.status(), 401, "{method} {path}");
    }
    let wish = json!({"service": "echo", "image": "i"}).to_string();
    let deploy = api
        .request("POST", "/system/functions")
        .basic_auth("admin", Some("secret"));
    answer(deploy.body(wish)).await.is(202);
}

#[tokio::test]
async fn nothing_is_done_for_those_who_are_refused() {
    let api = Api::guarded().await;
    let wish = json!({"service": "echo", "image": "i"});
    assert_eq!(api.post("/system/functions", wish).await.status, 401);
    let list = api
        .request("GET", "/system/functions")
        .basic_auth("admin", Some("secret"));
    assert_eq!(answer(list).await.json(), json!([]));
}

#[tokio::test]
async fn functions_health_and_metrics_are_open() {
    let api = Api::guarded().await;
    api.get("/healthz").await.is(200);
    assert_eq!(api.get("/metrics").await.status, 200);
    api.get("/function/echo")
        .await
        .refuses(404, "function echo.openfaas-fn not found");
}
