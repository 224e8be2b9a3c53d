//! The certifier's image against a platform from the compose file.

use faas_compose_tests::Platform;
use reqwest::{Method, StatusCode};
use serde_json::json;

/// The probe as a program of the functions directory, for provider-memory: it is a redirector too.
const PROGRAMS: &str = r#"
[classic]
image = "functions/alpine:latest"

[redirector]
image = "functions/redirector:latest"
process = "./certifier probe --listen 127.0.0.1:$PORT"
environment = { mode = "http", upstream_url = "http://127.0.0.1:$PORT" }

[probe]
image = "functions/probe:latest"
process = "./certifier probe --listen 127.0.0.1:$PORT"
environment = { mode = "http", upstream_url = "http://127.0.0.1:$PORT" }
"#;

/// The namespace that checks are repeated in.
const SECOND: &str = "second";

/// Runs the certifier as the manual says, with these test functions; its report. A check that fails, fails the test.
pub(crate) async fn certify(
    platform: &Platform,
    target: [&str; 2],
    functions: &str,
    further: &[&str],
) -> String {
    let namespace = json!({"name": SECOND, "labels": {"openfaas": "1"}}).to_string();
    let made = platform.ask(Method::POST, "/system/namespace/", namespace);
    let (made, words) = made.await;
    let there = [StatusCode::CREATED, StatusCode::CONFLICT];
    assert!(there.contains(&made), "{made}: {words}");
    let map = platform.path().join("certifier.toml");
    std::fs::write(&map, functions).unwrap();
    let volume = format!("{}:/functions.toml:ro", map.display());
    let run = ["run", "--rm", "-T", "-v", &volume, "certifier"];
    let options = ["--namespace", SECOND, "--image-map", "/functions.toml"];
    platform.compose(&[&run[..], &target, &options, further].concat())
}

/// Puts the certifier's program where functions see it.
fn put_probe(platform: &Platform) {
    let engine = &platform.engine;
    let container = engine.docker(&["create", "functions/probe"]);
    let from = format!("{}:/certifier", container.trim());
    let to = platform.path().join("functions/certifier");
    let _ = engine.docker(&["cp", &from, to.to_str().unwrap()]);
    let _ = engine.docker(&["rm", container.trim()]);
}

#[tokio::test]
async fn the_certifier_finds_nothing_to_complain_about() {
    let platform = Platform::prepared(&["docker-compose.yml"]);
    put_probe(&platform);
    platform.up().await;
    for target in [
        ["--gateway", "http://gateway:8080"],
        ["--provider", "http://provider:8080"],
    ] {
        // It runs programs, all of them on one machine.
        let without = ["--without", "runs-containers", "--without", "constraints"];
        let report = certify(&platform, target, PROGRAMS, &without).await;
        assert!(report.contains(" 0 failed"), "{report}");
        println!("{report}");
    }
}
