//! The binary: what it prints, and how it ends.

use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use crate::model::{BASIC, Model};
use crate::switch::Switch;

/// Far less than the suite waits for a replica.
const LIMIT: Duration = Duration::from_secs(20);

async fn certifier(arguments: &[&str]) -> Output {
    let command = Command::new(env!("CARGO_BIN_EXE_certifier"))
        .args(arguments)
        .output();
    command.await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_run_prints_a_line_per_check_and_a_summary() {
    let url = Arc::new(Model::gateway(None)).serve().await;
    let output = certifier(&[
        "--gateway",
        &url,
        "--filter",
        "deploy",
        "--skip",
        "deploy.image-exact",
    ])
    .await;
    let out = text(&output.stdout);
    assert!(output.status.success(), "{out}");
    assert!(out.contains("deploy.accepted in openfaas-fn"), "{out}");
    assert!(
        out.contains("deploy.image-exact in openfaas-fn: asked for with --skip"),
        "{out}"
    );
    assert!(out.contains(" 0 failed, 1 skipped in "), "{out}");
    assert!(!out.contains("health.ok"), "{out}");
}

#[tokio::test]
async fn a_failure_shows_the_exchange_and_ends_with_1() {
    let url = Arc::new(Model::gateway(Some(Switch::DeployIs201)))
        .serve()
        .await;
    let output = certifier(&["--gateway", &url, "--filter", "deploy.accepted"]).await;
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out}");
    for part in [
        "rule      POST /system/functions answers 200 or 202.",
        "expected  status 200 or 202",
        "got       status 201",
        "sent      POST http://",
        "\"envProcess\":\"cat\"",
        "received  status 201",
    ] {
        assert!(out.contains(part), "{part} in {out}");
    }
}

#[tokio::test]
async fn json_is_alone_on_standard_output() {
    let url = Arc::new(Model::gateway(Some(Switch::Unhealthy)))
        .serve()
        .await;
    let output = certifier(&[
        "--gateway",
        &url,
        "--filter",
        "health.ok",
        "--report",
        "json",
    ])
    .await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["failed"], 1);
    assert_eq!(report["success"], false);
    assert_eq!(report["checks"][1]["id"], "health.ok");
    assert_eq!(report["checks"][1]["got"], "status 503");
    assert!(text(&output.stderr).contains("health.ok"));
}

#[tokio::test]
async fn credentials_come_from_a_file_or_a_folder() {
    let model = Arc::new(Model::gateway(None).wanting(BASIC));
    let url = model.serve().await;
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("both", "admin:secret\n"),
        ("basic-auth-user", "admin\n"),
        ("basic-auth-password", "secret"),
    ] {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let both = folder.path().join("both");
    let arguments = ["--gateway", &url, "--filter", "info"];
    for credentials in [
        ["--basic-auth-file", both.to_str().unwrap()],
        ["--basic-auth-dir", folder.path().to_str().unwrap()],
    ] {
        let output = certifier(&[&arguments[..], &credentials].concat()).await;
        assert!(output.status.success(), "{}", text(&output.stdout));
    }
    assert!(!certifier(&arguments).await.status.success());
}

#[tokio::test]
async fn ctrl_c_ends_a_run_that_waits_and_removes_what_it_made() {
    let model = Arc::new(Model::gateway(Some(Switch::NeverAvailable)));
    let url = model.serve().await;
    let child = Command::new(env!("CARGO_BIN_EXE_certifier"))
        .args(["--gateway", &url, "--filter", "becomes-available"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let deployed = async {
        while model.function_names().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, deployed).await.unwrap();
    let interrupt = ["-INT", &child.id().unwrap().to_string()];
    assert!(
        Command::new("kill")
            .args(interrupt)
            .status()
            .await
            .unwrap()
            .success()
    );

    let output = timeout(LIMIT, child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(out.contains("the run was interrupted"), "{out}");
    assert!(model.function_names().is_empty());
}

#[tokio::test]
async fn the_list_needs_no_platform() {
    let output = certifier(&["--list"]).await;
    let out = text(&output.stdout);
    assert!(output.status.success());
    assert!(out.contains("deploy.annotations-round-trip\n"), "{out}");
    assert!(out.contains("From: original suite"), "{out}");
}

#[tokio::test]
async fn wrong_arguments_end_with_2() {
    let both = [
        "--gateway",
        "http://127.0.0.1:1",
        "--provider",
        "http://127.0.0.1:1",
    ];
    assert_eq!(certifier(&both).await.status.code(), Some(2));
    for trust in [
        &["--ca-file", "nowhere.pem"][..],
        &["--insecure", "--ca-file", "Cargo.toml"],
    ] {
        assert_eq!(certifier(trust).await.status.code(), Some(2));
    }
    assert_eq!(
        certifier(&["--timeout", "soon"]).await.status.code(),
        Some(2)
    );
}
