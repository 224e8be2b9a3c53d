//! What the provider's container is kept from, though its functions can be sandboxed.

use faas_compose_tests::{Platform, until};
use reqwest::{Method, StatusCode};
use serde_json::json;

const IMAGE: &str = "ferrofaas/provider-memory:latest";

/// Enters a user namespace in a container with this profile; whether it could, and its words.
fn enter(platform: &Platform, profile: &str) -> (bool, String) {
    let seccomp = format!("seccomp={profile}");
    let mut run = platform.engine.command("docker");
    run.args(["run", "--rm", "--user", "1000", "--security-opt", &seccomp]);
    run.args(["--entrypoint", "/bin/unshare", IMAGE, "-U", "echo", "in"]);
    let ended = run.output().unwrap();
    let words = [ended.stdout, ended.stderr].concat();
    let words = String::from_utf8(words).unwrap();
    (ended.status.success(), words)
}

#[test]
fn prepare_names_a_profile_that_refuses_user_namespaces() {
    let platform = Platform::prepared(&["docker-compose.yml"]);
    let knobs = std::fs::read_to_string(platform.path().join(".env")).unwrap();
    let profile = knobs
        .lines()
        .find_map(|line| line.strip_prefix("PROVIDER_SECCOMP="))
        .unwrap();
    assert!(profile.starts_with('/'), "{profile}");
    let (entered, words) = enter(&platform, profile);
    assert!(!entered && words.contains("not permitted"), "{words}");
    // It is the profile that refuses.
    assert_eq!(enter(&platform, "unconfined"), (true, "in\n".to_owned()));
}

#[tokio::test]
async fn functions_are_sandboxed_and_refused_rights_of_their_own() {
    let platform = Platform::prepared(&["docker-compose.yml"]);
    platform.up().await;
    let rights = json!({"service": "rights", "image": "any", "envProcess": "unshare -U echo in"});
    platform.deploy(rights).await;
    let ask = async || platform.ask(Method::POST, "/function/rights", "").await;
    let limit = std::time::Duration::from_secs(30);
    let (_, said) = until("a refusal", limit, ask, |(status, _)| {
        *status == StatusCode::INTERNAL_SERVER_ERROR
    })
    .await;
    assert!(!said.contains("in\n"), "{said}");
    // The provider itself was kept from nothing that it needs.
    let log = platform.compose(&["logs", "--no-color", "provider"]);
    assert!(!log.contains("plain processes"), "{log}");
}
