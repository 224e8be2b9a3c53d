//! A provider that goes and comes back, and how little a gateway asks one that stays.

use crate::support::{Deployed, Fake, Memory, Port, TestGateway, until};

#[tokio::test]
async fn a_warm_call_asks_the_provider_nothing() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    assert_eq!(gateway.get("/function/f").await.status, 200);
    let before = fake.seen("").len();
    for _ in 0..100 {
        assert_eq!(gateway.get("/function/f").await.status, 200);
    }
    assert_eq!(fake.seen("").len(), before, "{:?}", fake.seen(""));
}

#[tokio::test]
async fn after_a_crash_of_the_provider_its_endpoints_are_watched_again() {
    let mut fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    fake.deploy("old", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    fake.crash().await;
    assert_eq!(
        gateway.get("/function/f").await.status,
        200,
        "warm calls need no provider"
    );
    fake.delete("old");
    fake.deploy("new", Deployed::with(5));
    fake.begin().await;
    gateway
        .counts(
            "gateway_service_count",
            &[("function_name", "new.openfaas-fn")],
            5.0,
        )
        .await;
    gateway
        .get("/function/old")
        .await
        .is_refusal(404, "function old.openfaas-fn not found");
    // What changes from now on is seen too.
    fake.deploy("new", Deployed::with(6));
    gateway
        .counts(
            "gateway_service_count",
            &[("function_name", "new.openfaas-fn")],
            6.0,
        )
        .await;
}

#[tokio::test]
async fn a_provider_of_ours_may_take_the_place_of_a_foreign_one() {
    let mut fake = Fake::start().await;
    fake.answers("/system/endpoints", 404, "no such path");
    fake.deploy("f", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    fake.crash().await;
    fake.answers_no_more("/system/endpoints");
    fake.begin().await;
    until("the endpoints to be watched", async || {
        fake.seen("GET /system/endpoints").len() > 1
            && gateway.get("/function/f").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn functions_of_a_real_provider_are_there_again_after_its_restart() {
    let data = tempfile::tempdir().unwrap();
    let port = Port::reserve();
    let memory = Memory::at(port.address, Some(data.path()), None).await;
    let gateway = TestGateway::ready(memory.address).await;
    gateway.deploy("f", "echo hello").await;
    memory.stop().await;
    let during = gateway.get("/function/f").await;
    assert!([502, 503].contains(&during.status), "{during:?}");

    let memory = Memory::at(port.address, Some(data.path()), None).await;
    until("the function to be back", async || {
        let answer = gateway.get("/function/f").await;
        assert_ne!(answer.status, 404);
        answer.text == "hello\n"
    })
    .await;
    memory.stop().await;
}
