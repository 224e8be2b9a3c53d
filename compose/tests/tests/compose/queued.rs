//! Asynchronous calls, through NATS and the queue-worker of the compose files.

use std::time::Duration;

use faas_compose_tests::{Platform, until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(90);
const WAITING: usize = 20;

/// A call is accepted, made, and told of.
pub(crate) async fn one_call(platform: &Platform, function: &str) {
    let id = platform.queue(function, "hello").await;
    assert_eq!(platform.result(&id).await.trim(), "5");
    let known = platform.queued(&id).await;
    assert_eq!(known["lastStatus"], 200, "{known}");
    assert_eq!(known["attempts"], 1, "{known}");
    // More than a message of NATS holds.
    let id = platform.queue(function, vec![b'x'; 3_000_000]).await;
    assert_eq!(platform.result(&id).await.trim(), "3000000");
    let (status, text) = platform.ask(Method::GET, "/system/queues", "").await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["books"]["drift"], 0, "{told}");
}

async fn with_a_function(files: &[&'static str]) -> Platform {
    let platform = Platform::prepared(files);
    platform.up().await;
    let count = json!({"service": "count", "image": "count", "envProcess": "wc -c"});
    platform.deploy(count).await;
    platform.call("count", "hello").await;
    platform
}

#[tokio::test]
async fn a_call_is_accepted_and_made_and_nobody_else_gets_into_the_queue() {
    let platform = with_a_function(&["docker-compose.yml"]).await;
    one_call(&platform, "count").await;

    let greet = r"printf 'CONNECT {%s}\r\nPING\r\n' | timeout 5 nc 127.0.0.1 4222";
    let said = |login: &str| {
        let container = platform.container("nats");
        let mut exec = platform.engine.command("docker");
        let greet = greet.replace("%s", login);
        let exec = exec.args(["exec", &container, "sh", "-c", &greet]);
        String::from_utf8(exec.output().unwrap().stdout).unwrap()
    };
    let refused = said("");
    assert!(refused.contains("Authorization Violation"), "{refused}");
    let password = std::fs::read_to_string(platform.path().join("secrets/nats-password")).unwrap();
    let login = format!(r#""user":"faas","pass":"{password}""#);
    assert!(said(&login).contains("PONG"), "the password is right");
    let log = platform.compose(&["logs", "--no-color"]);
    assert!(!log.contains(&password), "the password is in a log");
}

#[tokio::test]
async fn calls_that_wait_are_kept_when_nats_is_killed_and_when_all_of_it_is_taken_down() {
    let platform = with_a_function(&["docker-compose.yml"]).await;
    platform.compose(&["stop", "queue-worker"]);
    let mut ids = Vec::new();
    for call in 0..WAITING {
        ids.push(platform.queue("count", "x".repeat(call)).await);
    }

    platform.compose(&["kill", "-s", "KILL", "nats"]);
    platform.compose(&["start", "nats"]);
    let known = async || platform.queued(&ids[0]).await["state"].clone();
    until("NATS to be back", PATIENCE, known, |state| {
        *state == "queued"
    })
    .await;
    platform.compose(&["down"]);
    platform.up().await;
    for (call, id) in ids.iter().enumerate() {
        let said = platform.result(id).await;
        assert_eq!(said.trim(), call.to_string(), "{id}");
    }
}

#[tokio::test]
async fn a_platform_without_nats_goes_on_with_all_else() {
    let platform = with_a_function(&["docker-compose.yml"]).await;
    platform.compose(&["stop", "nats"]);
    let queue = async || {
        let path = "/async-function/count";
        platform.ask(Method::POST, path, "hello").await.0
    };
    until("a refusal", PATIENCE, queue, |status| {
        *status == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    assert_eq!(platform.call("count", "hello").await.trim(), "5");
    assert_eq!(platform.health("gateway"), "healthy");
    platform.compose(&["start", "nats"]);
    until("to be accepted", PATIENCE, queue, |status| {
        *status == StatusCode::ACCEPTED
    })
    .await;
    one_call(&platform, "count").await;
}
