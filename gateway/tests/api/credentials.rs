//! Who may enter, and as whom the gateway asks the provider.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use faas_gateway::Config;
use faas_http::auth::Pair;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Answer, Deployed, Fake, Memory, TestGateway, config};

/// The files of a user and a password.
fn secrets() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("basic-auth-user"), "admin\n").unwrap();
    fs::write(directory.path().join("basic-auth-password"), " s3cr3t \n").unwrap();
    directory
}

fn with_password(provider: std::net::SocketAddr, secrets: &TempDir) -> Config {
    Config {
        basic_auth: true,
        secret_mount_path: secrets.path().to_owned(),
        ..config(provider)
    }
}

fn basic(pair: &str) -> String {
    format!("Basic {}", STANDARD.encode(pair))
}

#[tokio::test]
async fn every_system_route_wants_the_password() {
    let fake = Fake::start().await;
    let secrets = secrets();
    let gateway = TestGateway::with(with_password(fake.address, &secrets)).await;
    let before = fake.seen("").len();
    for (method, path) in [
        ("GET", "/system/functions"),
        ("POST", "/system/functions"),
        ("PUT", "/system/functions"),
        ("DELETE", "/system/functions"),
        ("GET", "/system/function/f"),
        ("POST", "/system/scale-function/f"),
        ("POST", "/system/alert"),
        ("GET", "/system/info"),
        ("GET", "/system/secrets"),
        ("POST", "/system/secrets"),
        ("PUT", "/system/secrets"),
        ("DELETE", "/system/secrets"),
        ("GET", "/system/logs?name=f"),
        ("GET", "/system/namespaces"),
        ("GET", "/system/namespaces/dev"),
        ("POST", "/system/namespace/"),
        ("GET", "/system/namespace/dev"),
        ("PUT", "/system/namespace/dev"),
        ("DELETE", "/system/namespace/dev"),
        ("GET", "/system/telemetry"),
    ] {
        for pair in [
            None,
            Some("admin:wrong"),
            Some("Admin:s3cr3t"),
            Some("admin"),
        ] {
            let mut request = gateway.request(method, path).body("{}");
            if let Some(pair) = pair {
                request = request.header("Authorization", basic(pair));
            }
            let answer = Answer::to(request).await;
            let said = (answer.status, answer.text.as_str());
            assert_eq!(
                said,
                (401, "invalid credentials"),
                "{method} {path} {pair:?}"
            );
            let challenge = answer.header("www-authenticate");
            assert_eq!(challenge, "Basic realm=\"Restricted\"", "{method} {path}");
        }
    }
    let passed_on = fake.seen("").split_off(before);
    let of_others = passed_on
        .iter()
        .filter(|seen| !seen.line.contains("endpoints"));
    assert_eq!(of_others.count(), 0, "{passed_on:?}");
}

#[tokio::test]
async fn functions_and_health_are_open() {
    let fake = Fake::start().await;
    fake.deploy("echo", Deployed::with(1));
    let secrets = secrets();
    let gateway = TestGateway::with(with_password(fake.address, &secrets)).await;
    let gateway = gateway.once_ready().await;
    for path in ["/function/echo", "/healthz", "/"] {
        assert_eq!(gateway.get(path).await.status, 200, "{path}");
    }
    assert_eq!(gateway.private("/metrics").await.status, 200);
}

#[tokio::test]
async fn the_provider_is_sent_our_password_in_place_of_the_callers_header() {
    let fake = Fake::start().await;
    fake.deploy("echo", Deployed::with(1));
    let secrets = secrets();
    let gateway = TestGateway::with(with_password(fake.address, &secrets)).await;
    let own = basic("admin:s3cr3t");
    for path in [
        "/system/functions",
        "/system/function/echo",
        "/system/info",
        "/system/secrets",
    ] {
        fake.answers("/system/secrets", 200, "[]");
        // The scheme's case is the caller's; what the provider sees is ours.
        let asked = gateway.request("GET", path);
        let asked = asked.header("Authorization", own.replace("Basic", "bAsIc"));
        assert_eq!(Answer::to(asked).await.status, 200, "{path}");
    }
    assert_eq!(gateway.get("/healthz").await.status, 200);
    let seen = fake.seen("");
    assert!(
        seen.iter().all(|seen| seen.authorization == own),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_function_sees_the_callers_header_and_never_our_password() {
    let fake = Fake::start().await;
    fake.deploy("echo", Deployed::with(1));
    let secrets = secrets();
    let gateway = TestGateway::with(with_password(fake.address, &secrets)).await;
    let gateway = gateway.once_ready().await;
    let with = gateway
        .request("GET", "/function/echo")
        .header("Authorization", "Bearer own");
    assert_eq!(
        Answer::to(with).await.json()["headers"]["authorization"],
        "Bearer own"
    );
    let without = gateway.get("/function/echo").await.json();
    assert_eq!(without["headers"]["authorization"], json!(null));
}

#[tokio::test]
async fn without_basic_auth_the_callers_header_goes_through() {
    let fake = Fake::start().await;
    let gateway = TestGateway::ready(fake.address).await;
    fake.answers("/system/secrets", 200, "[]");
    let asked = gateway
        .request("GET", "/system/secrets")
        .header("Authorization", "Bearer own");
    assert_eq!(Answer::to(asked).await.status, 200);
    assert_eq!(
        fake.seen("GET /system/secrets")[0].authorization,
        "Bearer own"
    );
}

#[tokio::test]
async fn a_provider_with_a_password_serves_a_gateway_that_has_it() {
    let memory = Memory::with_password(Pair::new("admin", "s3cr3t")).await;
    let secrets = secrets();
    let gateway = TestGateway::with(with_password(memory.address, &secrets)).await;
    let gateway = gateway.once_ready().await;
    let deployment = json!({"service": "f", "image": "none", "envProcess": "echo hello"});
    let deploy = gateway
        .request("POST", "/system/functions")
        .json(&deployment);
    let deployed = Answer::to(deploy.header("Authorization", basic("admin:s3cr3t"))).await;
    assert_eq!(deployed.status, 202);
    assert_eq!(gateway.get("/function/f").await.text, "hello\n");
}
