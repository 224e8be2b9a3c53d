//! The list of functions, with the gateway's own counts in it.

use serde_json::json;

use crate::support::{Answer, Deployed, Fake, Memory, TestGateway};

#[tokio::test]
async fn every_call_counts_in_the_list_and_in_the_status() {
    let memory = Memory::start().await;
    let gateway = TestGateway::ready(memory.address).await;
    gateway.deploy("f", "echo hello").await;
    gateway.deploy("idle", "echo hello").await;
    for path in [
        "/function/f",
        "/function/f.openfaas-fn",
        "/function/f/below",
    ] {
        assert_eq!(gateway.get(path).await.status, 200);
    }
    let labels = [("function_name", "f.openfaas-fn"), ("code", "200")];
    gateway
        .counts("gateway_function_invocation_total", &labels, 3.0)
        .await;

    let list = gateway.get("/system/functions").await;
    assert_eq!(list.header("content-type"), "application/json");
    let counts = |name: &str| {
        let list = list.json();
        let found = list
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"] == name);
        found.unwrap()["invocationCount"].clone()
    };
    assert_eq!((counts("f"), counts("idle")), (json!(3), json!(0)));
    for path in [
        "/system/function/f",
        "/system/function/f.openfaas-fn",
        "/system/function/f?namespace=openfaas-fn&usage=1",
    ] {
        assert_eq!(
            gateway.get(path).await.json()["invocationCount"],
            3,
            "{path}"
        );
    }
    let elsewhere = gateway.get("/system/functions?namespace=other").await;
    assert_eq!(elsewhere.status, 404);
}

#[tokio::test]
async fn fields_that_we_do_not_know_stay() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    assert_eq!(gateway.get("/function/f").await.status, 200);
    let labels = [("function_name", "f.openfaas-fn"), ("code", "200")];
    gateway
        .counts("gateway_function_invocation_total", &labels, 1.0)
        .await;

    let sent = json!({
        "name": "f", "namespace": "openfaas-fn", "image": "i", "replicas": 2, "availableReplicas": 1,
        "invocationCount": 77, "ours": {"deep": [1, 2.5, null]}, "createdAt": "2026-01-02T03:04:05Z",
    });
    let mut expected = sent.clone();
    expected["invocationCount"] = json!(1);
    fake.answers("/system/functions", 200, &json!([sent]).to_string());
    assert_eq!(
        gateway.get("/system/functions").await.json(),
        json!([expected])
    );
    fake.answers("/system/function/f", 200, &sent.to_string());
    assert_eq!(gateway.get("/system/function/f").await.json(), expected);
}

#[tokio::test]
async fn counts_that_a_provider_leaves_out_are_zeros() {
    let fake = Fake::start().await;
    let gateway = TestGateway::ready(fake.address).await;
    fake.answers("/system/functions", 200, "[{\"name\": \"f\"}]");
    let zeros = json!({"name": "f", "invocationCount": 0, "replicas": 0, "availableReplicas": 0});
    assert_eq!(
        gateway.get("/system/functions").await.json(),
        json!([zeros])
    );
}

#[tokio::test]
async fn a_list_that_is_null_is_empty() {
    let fake = Fake::start().await;
    let gateway = TestGateway::ready(fake.address).await;
    fake.answers("/system/functions", 200, "null");
    let list = gateway.get("/system/functions").await;
    assert_eq!((list.status, list.text.as_str()), (200, "[]"));
}

#[tokio::test]
async fn an_answer_that_is_no_list_is_502() {
    let fake = Fake::start().await;
    let gateway = TestGateway::ready(fake.address).await;
    for garbage in [
        "",
        "no JSON",
        "{\"name\": \"f\"}",
        "[1]",
        "[{\"name\": \"f\"}",
    ] {
        fake.answers("/system/functions", 200, garbage);
        let list = gateway.get("/system/functions").await;
        assert_eq!(list.status, 502, "{garbage}");
        assert!(
            list.text
                .starts_with("the provider's answer cannot be read: "),
            "{list:?}"
        );
        assert_eq!(list.header("x-openfaas-internal"), "gateway");
    }
    fake.answers("/system/function/f", 200, "no JSON");
    assert_eq!(gateway.get("/system/function/f").await.status, 502);
}

#[tokio::test]
async fn a_refusal_of_the_providers_is_relayed() {
    let fake = Fake::start().await;
    let gateway = TestGateway::ready(fake.address).await;
    fake.answers("/system/functions", 404, "namespace dev not found\n");
    let list = gateway.get("/system/functions?namespace=dev").await;
    assert_eq!(
        (list.status, list.text.as_str()),
        (404, "namespace dev not found\n")
    );
    let status = gateway.get("/system/function/nobody").await;
    assert_eq!(
        (status.status, status.text.as_str()),
        (404, "no such thing\n")
    );
}

#[tokio::test]
async fn a_client_that_takes_gzip_gets_the_list_all_the_same() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    let asked = gateway
        .request("GET", "/system/functions")
        .header("Accept-Encoding", "gzip");
    assert_eq!(Answer::to(asked).await.json()[0]["invocationCount"], 0);
}
