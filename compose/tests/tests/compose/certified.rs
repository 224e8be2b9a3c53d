//! The certifier's image against a platform from the compose file.

use std::path::Path;

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

/// The gateway, as the certifier's container sees it.
pub(crate) const GATEWAY: [&str; 4] = [
    "--gateway",
    "http://gateway:8080",
    "--metrics-url",
    "http://gateway:8082/metrics",
];

/// The provider alone.
const PROVIDER: [&str; 4] = [
    "--provider",
    "http://provider:8080",
    "--metrics-url",
    "http://provider:8080/metrics",
];

/// The queue-worker finds the certifier's container by its name.
pub(crate) const CALLBACKS: [&str; 2] = ["--callback-address", ":9000"];

/// The namespace that checks are repeated in.
const SECOND: &str = "second";

/// Runs the certifier as the manual says, with these test functions. A check that fails, fails the test, and so
/// does a skip that is not on the list of `skips`, a file in certifier/targets, or one that is and did not happen.
pub(crate) async fn certify(
    platform: &Platform,
    target: [&str; 4],
    functions: &str,
    skips: &str,
    further: &[&str],
) {
    let namespace = json!({"name": SECOND, "labels": {"openfaas": "1"}}).to_string();
    let made = platform.ask(Method::POST, "/system/namespace/", namespace);
    let (made, words) = made.await;
    let there = [StatusCode::CREATED, StatusCode::CONFLICT];
    assert!(there.contains(&made), "{made}: {words}");
    let map = platform.path().join("certifier.toml");
    std::fs::write(&map, functions).unwrap();
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../certifier/targets");
    let list = list.join(skips);
    std::fs::copy(&list, platform.path().join("skips")).unwrap();
    let volume = |name: &str| format!("{}:/{name}:ro", platform.path().join(name).display());
    let (map, allowed) = (volume("certifier.toml"), volume("skips"));
    let run = ["run", "--rm", "-T", "-v", &map, "-v", &allowed, "certifier"];
    let options = ["--namespace", SECOND, "--image-map", "/certifier.toml"];
    let options = [&options[..], &CALLBACKS].concat();
    let allowed = ["--expect-skips", "/skips", "--parallel", "8"];
    let report = platform.compose(&[&run[..], &target, &options, &allowed, further].concat());
    assert!(report.contains(" 0 failed"), "{report}");
    for line in listed(&std::fs::read_to_string(list).unwrap()) {
        assert!(
            report.contains(&format!(" {line}: ")),
            "not skipped: {line}\n{report}"
        );
    }
    println!("{report}");
}

/// The lines of a list, as the report names them.
fn listed(list: &str) -> Vec<String> {
    let lines = list
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let lines = lines.filter(|line| !line.trim().is_empty());
    lines.map(|line| line.trim().replace(' ', " in ")).collect()
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
    for (target, skips) in [(GATEWAY, "compose-memory"), (PROVIDER, "compose-provider")] {
        // It runs programs, all of them on one machine.
        let without = ["--without", "runs-containers", "--without", "constraints"];
        certify(&platform, target, PROGRAMS, skips, &without).await;
    }
}
