//! Providers of others, which publish no endpoints: polled, and called through their own `/function/` route.

use serde_json::json;

use crate::support::{Answer, Deployed, Fake, Scale, TestGateway, until};

#[tokio::test]
async fn functions_are_called_through_the_providers_own_route() {
    let fake = Fake::foreign().await;
    fake.deploy("f", Deployed::with(2));
    let gateway = TestGateway::ready(fake.address).await;
    let request = gateway
        .request("PUT", "/function/f.openfaas-fn/a%2Fb?x=1")
        .body("abc");
    let said = Answer::to(request).await.json();
    assert_eq!(
        (&said["method"], &said["body"]),
        (&json!("PUT"), &json!("abc"))
    );
    assert_eq!(said["target"], "/a%2Fb?x=1");
    gateway
        .counts(
            "gateway_service_count",
            &[("function_name", "f.openfaas-fn")],
            2.0,
        )
        .await;
}

#[tokio::test]
async fn a_provider_without_namespaces_is_asked_for_the_default_one() {
    for answer in [
        (200, "[]"),
        (200, "null"),
        (404, "no such path"),
        (501, "no namespaces"),
    ] {
        let fake = Fake::foreign().await;
        fake.answers("/system/namespaces", answer.0, answer.1);
        fake.deploy("f", Deployed::with(1));
        let gateway = TestGateway::ready(fake.address).await;
        assert_eq!(gateway.get("/function/f").await.status, 200, "{answer:?}");
        assert!(
            !fake
                .seen("GET /system/functions?namespace=openfaas-fn")
                .is_empty()
        );
    }
}

#[tokio::test]
async fn a_provider_may_lack_the_route_in_whatever_words() {
    for status in [404, 405, 501] {
        let fake = Fake::foreign().await;
        fake.answers("/system/endpoints", status, "no such path");
        fake.deploy("f", Deployed::with(1));
        let gateway = TestGateway::ready(fake.address).await;
        assert_eq!(gateway.get("/function/f").await.status, 200, "{status}");
    }
}

#[tokio::test]
async fn a_function_deployed_a_moment_ago_is_found() {
    let fake = Fake::foreign().await;
    let gateway = TestGateway::ready(fake.address).await;
    for round in 0..5 {
        let name = format!("f{round}");
        let path = format!("/function/{name}");
        gateway
            .get(&path)
            .await
            .is_refusal(404, &format!("function {name}.openfaas-fn not found"));
        fake.deploy(&name, Deployed::with(1));
        fake.answers("/system/functions", 202, "");
        assert_eq!(gateway.post("/system/functions", "{}").await.status, 202);
        assert_eq!(gateway.get(&path).await.status, 200);
    }
}

#[tokio::test]
async fn a_function_that_appears_behind_our_back_is_found_by_polling() {
    let fake = Fake::foreign().await;
    let gateway = TestGateway::ready(fake.address).await;
    fake.deploy("f", Deployed::with(3));
    gateway
        .counts(
            "gateway_service_count",
            &[("function_name", "f.openfaas-fn")],
            3.0,
        )
        .await;
    fake.delete("f");
    until("the function to be gone", async || {
        gateway
            .sample(
                "gateway_service_count",
                &[("function_name", "f.openfaas-fn")],
            )
            .await
            .is_none()
    })
    .await;
    assert_eq!(gateway.get("/function/f").await.status, 404);
}

#[tokio::test]
async fn a_function_at_zero_is_woken() {
    let fake = Fake::foreign().await;
    fake.deploy("f", Deployed::with(0));
    let gateway = TestGateway::ready(fake.address).await;
    assert_eq!(gateway.get("/function/f").await.status, 200);
    assert_eq!(fake.seen("POST /system/scale-function/f").len(), 1);
}

#[tokio::test]
async fn a_function_that_was_just_scaled_to_zero_is_woken_by_the_next_call() {
    let fake = Fake::foreign().await;
    fake.deploy("f", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    for _ in 0..3 {
        let zero = json!({"serviceName": "f", "replicas": 0});
        assert_eq!(
            gateway
                .json("POST", "/system/scale-function/f", zero)
                .await
                .status,
            202
        );
        assert_eq!(gateway.get("/function/f").await.status, 200);
    }
}

#[tokio::test]
async fn an_outage_is_503_for_known_and_unknown_functions() {
    let mut fake = Fake::foreign().await;
    fake.deploy("f", Deployed::with(1));
    fake.deploy("cold", Deployed::with(0));
    fake.on_scale(Scale::Done);
    let gateway = TestGateway::ready(fake.address).await;
    fake.crash().await;
    let words = "function f.openfaas-fn: the provider cannot be reached";
    gateway.get("/function/f").await.is_refusal(503, words);
    let words = "function new.openfaas-fn: the provider cannot be asked: it gave no answer";
    gateway.get("/function/new").await.is_refusal(503, words);
    let words = "function cold.openfaas-fn could not be scaled up: it gave no answer";
    gateway.get("/function/cold").await.is_refusal(503, words);
    fake.begin().await;
    until("the provider to be back", async || {
        gateway.get("/function/f").await.status == 200
    })
    .await;
}
