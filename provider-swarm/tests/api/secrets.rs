//! Secrets, and what functions read of them.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{Provider, function, unique, until, with};
use crate::swarm::{engine, service};

#[tokio::test]
async fn a_new_value_reaches_the_functions_that_use_it_and_the_old_one_is_removed() {
    let provider = Provider::start().await;
    let (name, secret) = (unique("reader"), unique("key"));
    let first = json!({"name": secret, "value": "first"});
    assert_eq!(provider.post("/system/secrets", &first).await.0, 201);
    assert_eq!(provider.post("/system/secrets", &first).await.0, 409);
    let process = format!("cat /var/openfaas/secrets/{secret}");
    provider
        .have(&with(
            function(&name, &process),
            json!({"secrets": [secret]}),
        ))
        .await;
    assert_eq!(provider.call(&name, "").await.1, "first");

    // rawValue wins: bytes, a newline and all.
    let second = json!({"name": secret, "value": "no", "rawValue": "c2Vjb25kCg=="});
    assert_eq!(
        provider.put("/system/secrets", &second).await,
        (StatusCode::OK, String::new())
    );
    until("the new value", async || {
        provider.call(&name, "").await.1 == "second\n"
    })
    .await;
    assert_eq!(provider.status(&name).await["secrets"], json!([secret]));
    assert_eq!(
        provider.json("/system/secrets").await,
        json!([{"name": secret, "namespace": provider.namespace}])
    );
    let filter = format!("label=ferrofaas.secret={secret}");
    until("the old version to be gone", async || {
        engine()
            .docker(&["secret", "ls", "--format", "{{.Name}}", "--filter", &filter])
            .trim()
            == format!("{secret}__v2")
    })
    .await;
}

#[tokio::test]
async fn a_secret_in_use_stays() {
    let provider = Provider::start().await;
    let (name, secret) = (unique("user"), unique("key"));
    let body = json!({"name": secret, "value": "x"});
    assert_eq!(provider.post("/system/secrets", &body).await.0, 201);
    let user = with(function(&name, "cat"), json!({"secrets": [secret]}));
    assert_eq!(provider.deploy(&user).await.0, 202);
    let refused = provider.remove("/system/secrets", &body).await;
    assert_eq!(
        refused,
        (
            StatusCode::CONFLICT,
            format!("secret {secret} is in use by {name}\n")
        )
    );
    assert_eq!(provider.delete(&name).await.0, 202);
    assert_eq!(provider.remove("/system/secrets", &body).await.0, 200);
    assert_eq!(provider.remove("/system/secrets", &body).await.0, 404);
    assert_eq!(provider.put("/system/secrets", &body).await.0, 404);
}

#[tokio::test]
async fn a_secret_that_is_too_large_is_refused_in_words() {
    let provider = Provider::start().await;
    let body = json!({"name": unique("big"), "value": "x".repeat(500 * 1024)});
    let (status, words) = provider.post("/system/secrets", &body).await;
    assert_eq!(
        (status, words.as_str()),
        (
            StatusCode::BAD_REQUEST,
            "value: Swarm takes less than 500 KiB\n"
        )
    );
}

#[tokio::test]
async fn a_deployment_mounts_the_latest_version() {
    let provider = Provider::start().await;
    let secret = unique("key");
    for (method, value) in [("POST", "one"), ("PUT", "two"), ("PUT", "three")] {
        let body = json!({"name": secret, "value": value}).to_string();
        let answer = provider
            .send(method.parse().unwrap(), "/system/secrets", body)
            .await;
        assert!(answer.0.is_success(), "{answer:?}");
    }
    let name = unique("reader");
    let process = format!("cat /var/openfaas/secrets/{secret}");
    provider
        .have(&with(
            function(&name, &process),
            json!({"secrets": [secret]}),
        ))
        .await;
    assert_eq!(provider.call(&name, "").await.1, "three");
    let mounted = &service(&name)["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"];
    assert_eq!(mounted[0]["SecretName"], format!("{secret}__v3"));
}
