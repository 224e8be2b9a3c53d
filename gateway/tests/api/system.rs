//! The `/system` API, passed on to the provider.

use std::time::Duration;

use faas_gateway::Config;
use serde_json::json;

use crate::support::{Answer, Deployed, Fake, Memory, TestGateway, Wire, config};

const MEBIBYTE: usize = 1024 * 1024;

#[tokio::test]
async fn requests_reach_the_provider_as_they_are() {
    let fake = Fake::start().await;
    let gateway = TestGateway::ready(fake.address).await;
    for (method, path) in [
        ("POST", "/system/functions"),
        ("PUT", "/system/functions?namespace=a%2Fb"),
        ("DELETE", "/system/functions"),
        ("GET", "/system/secrets?namespace=dev"),
        ("POST", "/system/secrets"),
        ("PUT", "/system/secrets"),
        ("DELETE", "/system/secrets"),
        ("GET", "/system/namespaces"),
        ("POST", "/system/namespace/"),
        ("GET", "/system/namespace/dev"),
        ("PUT", "/system/namespace/dev"),
        ("DELETE", "/system/namespace/dev"),
        ("POST", "/system/scale-function/f?namespace=dev"),
    ] {
        fake.answers(path.split('?').next().unwrap(), 418, "the provider's words");
        let answer = Answer::to(gateway.request(method, path).body("{\"as\": \"sent\"}")).await;
        let said = (answer.status, answer.text.as_str());
        assert_eq!(said, (418, "the provider's words"), "{method} {path}");
        let seen = fake.seen(&format!("{method} {path}"));
        let bodies: Vec<&str> = seen.iter().map(|seen| seen.body.as_str()).collect();
        assert!(
            bodies.contains(&"{\"as\": \"sent\"}"),
            "{method} {path}: {seen:?}"
        );
    }
}

#[tokio::test]
async fn namespaces_are_created_listed_updated_and_deleted() {
    let memory = Memory::start().await;
    let gateway = TestGateway::ready(memory.address).await;
    let dev = |color| json!({"name": "dev", "labels": {"openfaas": "1", "color": color}});
    let listed = async || gateway.get("/system/namespaces").await.json();

    assert_eq!(listed().await, json!(["openfaas-fn"]));
    assert_eq!(
        gateway
            .json("POST", "/system/namespace/", dev("red"))
            .await
            .status,
        201
    );
    assert_eq!(listed().await, json!(["dev", "openfaas-fn"]));
    assert_eq!(
        gateway
            .json("PUT", "/system/namespace/dev", dev("blue"))
            .await
            .status,
        202
    );
    assert_eq!(
        gateway.get("/system/namespace/dev").await.json(),
        dev("blue")
    );
    assert_eq!(
        gateway.get("/system/namespaces/dev").await.json(),
        dev("blue")
    );
    let deleted = gateway
        .json("DELETE", "/system/namespace/dev", json!({}))
        .await;
    assert_eq!(deleted.status, 202);
    assert_eq!(listed().await, json!(["openfaas-fn"]));
    assert_eq!(gateway.get("/system/namespace/dev").await.status, 404);
}

#[tokio::test]
async fn secrets_are_created_listed_updated_and_deleted() {
    let memory = Memory::start().await;
    let gateway = TestGateway::ready(memory.address).await;
    let secret = |value| json!({"name": "key", "value": value});
    let path = "/system/secrets";
    assert_eq!(gateway.json("PUT", path, secret("a")).await.status, 404);
    assert_eq!(gateway.json("POST", path, secret("a")).await.status, 201);
    assert_eq!(gateway.json("POST", path, secret("a")).await.status, 409);
    assert_eq!(gateway.json("PUT", path, secret("b")).await.status, 200);
    let listed = gateway.get(path).await.json();
    assert_eq!(listed, json!([{"name": "key", "namespace": "openfaas-fn"}]));
    assert_eq!(
        gateway
            .json("DELETE", path, json!({"name": "key"}))
            .await
            .status,
        200
    );
    assert_eq!(gateway.get(path).await.json(), json!([]));
}

#[tokio::test]
async fn a_body_over_a_mebibyte_is_413_whether_its_length_is_told_or_not() {
    for foreign in [false, true] {
        let fake = if foreign {
            Fake::foreign().await
        } else {
            Fake::start().await
        };
        let gateway = TestGateway::ready(fake.address).await;
        let words = "the body is larger than 1048576 bytes";
        let too_much = "x".repeat(MEBIBYTE + 1);
        for path in ["/system/secrets", "/system/alert"] {
            gateway
                .post(path, too_much.clone())
                .await
                .is_refusal(413, words);
            let chunks = [Ok::<_, std::io::Error>(too_much.clone())];
            let chunks = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
            gateway.post(path, chunks).await.is_refusal(413, words);
        }
        assert_eq!(fake.seen("POST /system/secrets").len(), 0);
        fake.answers("/system/secrets", 201, "");
        assert_eq!(
            gateway
                .post("/system/secrets", "x".repeat(MEBIBYTE))
                .await
                .status,
            201
        );
    }
}

#[tokio::test]
async fn half_a_body_is_408_and_reaches_nobody() {
    let fake = Fake::start().await;
    let config = Config {
        read_timeout: Duration::from_millis(100),
        ..config(fake.address)
    };
    let gateway = TestGateway::with(config).await.once_ready().await;
    for path in ["/system/functions", "/system/alert"] {
        let mut wire = Wire::to(gateway.at.public).await;
        let head = format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\n");
        wire.send(head + "{\"half\"").await;
        let head = wire.head().await;
        assert!(head.starts_with("HTTP/1.1 408 "), "{path}: {head}");
        let words = "the body did not arrive within read_timeout=100ms\n";
        assert_eq!(wire.until("\n").await, words);
    }
    assert_eq!(fake.seen("POST").len(), 0);
}

#[tokio::test]
async fn a_provider_that_hangs_is_504_with_the_limit() {
    let fake = Fake::start().await;
    let config = Config {
        upstream_timeout: Duration::from_millis(100),
        ..config(fake.address)
    };
    let gateway = TestGateway::with(config).await.once_ready().await;
    for path in ["/system/functions", "/system/secrets"] {
        fake.is_silent_on(path);
        let words = "the provider gave no answer: no answer within upstream_timeout=100ms";
        gateway.get(path).await.is_refusal(504, words);
    }
}

#[tokio::test]
async fn headers_over_a_mebibyte_are_431() {
    let fake = Fake::start().await;
    let gateway = TestGateway::ready(fake.address).await;
    for address in [gateway.at.public, gateway.at.metrics] {
        let mut wire = Wire::to(address).await;
        let filler = "x".repeat(MEBIBYTE + 8192);
        wire.send(format!(
            "GET /healthz HTTP/1.1\r\nHost: test\r\nX-Filler: {filler}\r\n\r\n"
        ))
        .await;
        let head = wire.head().await;
        assert!(head.starts_with("HTTP/1.1 431 "), "{head}");
    }
}

#[tokio::test]
async fn paths_that_nobody_has_are_404() {
    let fake = Fake::start().await;
    let gateway = TestGateway::ready(fake.address).await;
    for path in [
        "/nothing",
        "/system/nothing",
        "/system/functions/",
        "/metrics",
        "/system/endpoints",
    ] {
        gateway
            .get(path)
            .await
            .is_refusal(404, "404 page not found");
    }
    let endpoints = fake.seen("GET /system/endpoints").len();
    assert_eq!(endpoints, 1, "only the gateway itself watches endpoints");
}

#[tokio::test]
async fn what_this_platform_lacks_is_501_with_words() {
    let fake = Fake::start().await;
    fake.deploy("echo", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    let telemetry = "telemetry is for commercial providers; there is none here";
    gateway
        .get("/system/telemetry")
        .await
        .is_refusal(501, telemetry);
    let queue = "asynchronous calls are not available: this gateway has no queue";
    gateway
        .post("/async-function/echo", "x")
        .await
        .is_refusal(501, queue);
}

#[tokio::test]
async fn a_provider_that_is_down_is_503_with_words() {
    let mut fake = Fake::start().await;
    fake.deploy("echo", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    fake.crash().await;
    let words = "the provider cannot be reached";
    for path in [
        "/system/functions",
        "/system/secrets",
        "/system/logs?name=echo",
        "/healthz",
    ] {
        gateway.get(path).await.is_refusal(503, words);
    }
}
