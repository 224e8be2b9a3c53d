//! What every image promises.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use faas_compose_tests::Engine;
use serde_json::Value;

const MOST_BYTES: u64 = 12_000_000;
/// In every function's image.
const MOST_WATCHDOG_BYTES: u64 = 4_000_000;
/// A static busybox comes on top.
const MOST_SANDBOX_BYTES: u64 = MOST_BYTES + 2_000_000;

/// Name and stage of every line of `images/list`.
fn listed() -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../images/list");
    let text = fs::read_to_string(path).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [name, _package, _program, stage] = words[..] else {
                panic!("images/list: {line}");
            };
            (name.to_owned(), stage.to_owned())
        })
        .collect()
}

fn reference(name: &str) -> String {
    format!("ferrofaas/{name}:latest")
}

#[test]
fn every_image_is_small() {
    let engine = Engine::of_tests();
    for (name, stage) in listed() {
        let image = engine.inspect(&reference(&name));
        let size = image["Size"].as_u64().unwrap();
        let most = if stage == "sandbox" {
            MOST_SANDBOX_BYTES
        } else {
            MOST_BYTES
        };
        assert!(size < most, "{name} has {size} bytes");
    }
}

#[test]
fn the_watchdog_is_smaller_still() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut compile = Command::new(root.join("images/compile"));
    let place = compile.args(["--where", "fwatchdog"]).output().unwrap();
    let place = String::from_utf8(place.stdout).unwrap();
    let size = fs::metadata(root.join(place.trim())).unwrap().len();
    assert!(size < MOST_WATCHDOG_BYTES, "{size} bytes");
}

#[test]
fn every_image_but_the_sandboxing_one_is_for_a_user_without_rights() {
    let engine = Engine::of_tests();
    for (name, stage) in listed() {
        let config = engine.inspect(&reference(&name))["Config"].clone();
        let user = if stage == "sandbox" {
            ""
        } else {
            "65532:65532"
        };
        assert_eq!(config["User"], user, "{name}");
    }
}

#[test]
fn every_service_checks_its_health_with_its_own_program() {
    let engine = Engine::of_tests();
    for (name, stage) in listed() {
        let config = engine.inspect(&reference(&name))["Config"].clone();
        let check = &config["Healthcheck"]["Test"];
        match stage.as_str() {
            "job" => assert_eq!(*check, Value::Null, "{name}"),
            "watchdog" => assert_eq!(check[2], "-run-healthcheck", "{name}"),
            _ => assert_eq!(
                (&check[1], &check[2]),
                (&"/main".into(), &"health".into()),
                "{name}"
            ),
        }
    }
}

#[test]
fn every_program_runs_alone_on_a_read_only_root_without_rights() {
    let engine = Engine::of_tests();
    for name in listed().keys() {
        let help = [
            "run",
            "--rm",
            "--read-only",
            "--cap-drop",
            "ALL",
            "--network",
            "none",
        ];
        let image = reference(name);
        // Some say their help on stderr: that they end well is enough.
        let _ = engine.docker(&[&help[..], &[image.as_str(), "--help"]].concat());
    }
}

#[test]
fn every_image_holds_certificates_and_only_the_sandboxing_one_a_shell() {
    let engine = Engine::of_tests();
    for (name, stage) in listed() {
        let container = engine.docker(&["create", &reference(&name)]);
        let container = container.trim();
        let files = engine
            .command("sh")
            .args(["-c", &format!("docker export {container} | tar -t")])
            .output()
            .unwrap();
        let _ = engine.docker(&["rm", "-v", container]);
        let files = String::from_utf8(files.stdout).unwrap();
        let holds = |file: &str| files.lines().any(|line| line == file);
        assert!(
            holds("etc/ssl/certs/ca-certificates.crt"),
            "{name}: {files}"
        );
        assert_eq!(holds("bin/sh"), stage == "sandbox", "{name}: {files}");
    }
}
