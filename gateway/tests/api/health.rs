//! Who the platform is, and whether it is well.

use serde_json::json;

use crate::support::{Fake, Memory, TestGateway, until};

#[tokio::test]
async fn info_wraps_the_providers() {
    let memory = Memory::start().await;
    let gateway = TestGateway::ready(memory.address).await;
    let info = gateway.get("/system/info").await;
    assert_eq!(
        (info.status, info.header("content-type")),
        (200, "application/json")
    );
    let info = info.json();
    assert_eq!(info["provider"]["provider"], "provider-memory");
    for (part, field) in [
        ("provider", "orchestration"),
        ("version", "release"),
        ("version", "sha"),
    ] {
        assert!(
            info[part][field]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{info}"
        );
    }
    let versions = &info["provider"]["version"];
    assert!(
        versions["release"].is_string() && versions["sha"].is_string(),
        "{info}"
    );
    let arch = if cfg!(target_arch = "x86_64") {
        "amd64"
    } else {
        "arm64"
    };
    assert_eq!(info["arch"], arch);
}

#[tokio::test]
async fn info_keeps_what_the_provider_says_word_for_word() {
    let fake = Fake::start().await;
    let gateway = TestGateway::ready(fake.address).await;
    let said = json!({"provider": "p", "orchestration": "o", "version": {"release": "1", "sha": "2", "commit_message": "why"}, "more": [1]});
    fake.answers("/system/info", 200, &said.to_string());
    assert_eq!(gateway.get("/system/info").await.json()["provider"], said);
}

#[tokio::test]
async fn a_provider_that_cannot_say_who_it_is_does_not_hide_the_gateway() {
    let mut fake = Fake::start().await;
    let gateway = TestGateway::ready(fake.address).await;
    let nobody = async || {
        let info = gateway.get("/system/info").await;
        assert_eq!(info.status, 200);
        let info = info.json();
        assert_eq!(info["provider"], json!(null));
        assert!(info["version"]["release"].is_string(), "{info}");
    };
    fake.answers("/system/info", 200, "no JSON");
    nobody().await;
    fake.answers("/system/info", 500, "{}");
    nobody().await;
    fake.crash().await;
    nobody().await;
}

#[tokio::test]
async fn health_on_the_public_port_is_the_providers() {
    let fake = Fake::start().await;
    let gateway = TestGateway::ready(fake.address).await;
    assert_eq!(gateway.get("/healthz").await.status, 200);
    fake.answers("/healthz", 503, "no engine");
    let sick = gateway.get("/healthz").await;
    assert_eq!((sick.status, sick.text.as_str()), (503, "no engine"));
}

#[tokio::test]
async fn the_metrics_port_tells_life_from_readiness() {
    let mut fake = Fake::start().await;
    let gateway = TestGateway::ready(fake.address).await;
    let ready = gateway.private("/readyz").await;
    assert_eq!(ready.text, "gateway: ok\nprovider: ok\nendpoints: ok\n");
    fake.crash().await;
    let ready = gateway.private("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(
        ready.text.starts_with("gateway: ok\nprovider: "),
        "{ready:?}"
    );
    assert!(!ready.text.contains("provider: ok"), "{ready:?}");
    let alive = gateway.private("/healthz").await;
    assert_eq!((alive.status, alive.text.as_str()), (200, "OK"));
    assert_eq!(gateway.private("/system/functions").await.status, 404);

    fake.begin().await;
    until("the gateway to be ready again", async || {
        gateway.private("/readyz").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn readiness_does_not_wait_for_a_provider_that_hangs() {
    let fake = Fake::start().await;
    let gateway = TestGateway::ready(fake.address).await;
    fake.is_silent_on("/system/info");
    let ready = gateway.private("/readyz").await;
    let words = "gateway: ok\nprovider: no answer within 2s\nendpoints: ok\n";
    assert_eq!((ready.status, ready.text.as_str()), (503, words));
}

#[tokio::test]
async fn a_gateway_that_never_saw_its_provider_is_alive_and_says_what_it_lacks() {
    let mut fake = Fake::start().await;
    fake.crash().await;
    let gateway = TestGateway::before(fake.address).await;
    assert_eq!(gateway.private("/healthz").await.status, 200);
    let ready = gateway.private("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(
        ready.text.ends_with("endpoints: not known yet\n"),
        "{ready:?}"
    );
}
