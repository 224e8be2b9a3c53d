//! `certifier bench`: what it deploys and removes, and how it ends.

use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use crate::model::{BASIC, Model, PASSWORD, USER};

/// Far longer than any of these runs.
const LIMIT: Duration = Duration::from_secs(60);

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_certifier"));
    command.arg("bench").args(arguments);
    command
}

async fn bench(arguments: &[&str]) -> Output {
    command(arguments).output().await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const SHORT: [&str; 6] = ["--rate", "50", "--duration", "0.2", "--warm-up", "0.1"];

#[tokio::test]
async fn a_function_is_deployed_for_the_run_and_removed() {
    let model = Arc::new(Model::gateway(None));
    let other = Arc::new(Model::gateway(None));
    let (url, against) = (model.serve().await, other.serve().await);
    let folder = tempfile::tempdir().unwrap();
    let svg = format!("svg={}", folder.path().join("curve.svg").display());
    let where_to = ["--gateway", &url, "--against", &against];
    let reports = ["--report", "json", "--report", &svg];
    let output = bench(&[&where_to[..], &SHORT, &["--size", "32"], &reports].concat()).await;
    let err = text(&output.stderr);
    assert!(output.status.success(), "{err}{}", text(&output.stdout));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["sides"][1]["statuses"]["200"], 10);
    let function = report["sides"][0]["function"].as_str().unwrap();
    assert!(function.starts_with("certify-"), "{function}");
    let picture = std::fs::read_to_string(folder.path().join("curve.svg")).unwrap();
    assert!(picture.contains(&url) && picture.contains(&against));
    assert!(
        err.contains(&format!("measuring {url}, turn 1 of 5")),
        "{err}"
    );
    assert!(model.function_names().is_empty() && other.function_names().is_empty());
}

#[tokio::test]
async fn ctrl_c_removes_the_function_and_tells_what_was_measured() {
    let model = Arc::new(Model::gateway(None));
    let url = model.serve().await;
    let child = command(&[
        "--gateway",
        &url,
        "--rate",
        "20",
        "--duration",
        "3600",
        "--warm-up",
        "0",
    ])
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    // The first calls only wait for the function.
    let called = async {
        while !model.state().answered.values().any(|count| *count > 5) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LIMIT, called).await.unwrap();
    let interrupt = ["-INT", &child.id().unwrap().to_string()];
    let sent = Command::new("kill").args(interrupt).status().await;
    assert!(sent.unwrap().success());
    let output = timeout(LIMIT, child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(out.contains("interrupted"), "{out}");
    assert!(model.function_names().is_empty());
}

#[tokio::test]
async fn what_cannot_be_measured_is_told_in_one_line() {
    let url = Arc::new(Model::gateway(None)).serve().await;
    let closed = Arc::new(Model::gateway(None).wanting(BASIC)).serve().await;
    let nobody = "http://127.0.0.1:1";
    for (arguments, words) in [
        (&["--gateway", nobody][..], "nobody answers there"),
        (
            &["--gateway", nobody, "--function", "f"],
            "nobody answers there",
        ),
        (
            &["--gateway", &url, "--against", nobody],
            "nobody answers there",
        ),
        (
            &["--gateway", &url, "--function", "absent"],
            "expected a function absent: POST http",
        ),
        (&["--gateway", &closed], "it refused the credentials"),
        (&["--gateway", "ftp://here"], "expected a URL"),
        (&["--gateway", &url, "--path", "x"], "expected a path"),
        (
            &["--gateway", &url, "--rate", "1", "--duration", "0.1"],
            "expected a duration",
        ),
        (
            &["--gateway", &url, "--body-file", "nowhere"],
            "reading nowhere",
        ),
    ] {
        let output = bench(arguments).await;
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {err}");
        assert!(
            err.starts_with("certifier: ") && err.lines().count() == 1,
            "{err}"
        );
        assert!(err.contains(words), "{words} in {err}");
    }
}

#[tokio::test]
async fn wrong_arguments_end_with_2_and_name_the_flag() {
    for (arguments, flag) in [
        (&["--rate", "0"][..], "--rate"),
        (&["--rate", "fast"], "--rate"),
        (&["--duration=-1"], "--duration"),
        (&["--connections", "0"], "--connections"),
        (&["--turns", "0"], "--turns"),
        (&["--report", "xml"], "--report"),
        (&["--header", "nothing"], "--header"),
        (&["--method", "A B"], "--method"),
        (&["--size", "1", "--body", "x"], "--body"),
        (
            &["--gateway", "http://a", "--provider", "http://b"],
            "--provider",
        ),
    ] {
        let output = bench(arguments).await;
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {err}");
        assert!(err.lines().next().unwrap().contains(flag), "{err}");
    }
    let help = bench(&["--help"]).await;
    assert!(help.status.success());
    assert!(text(&help.stdout).contains("--against"));
}

#[tokio::test]
async fn credentials_deploy_and_calls_go_without() {
    let model = Arc::new(Model::gateway(None).wanting(BASIC));
    let url = model.serve().await;
    let folder = tempfile::tempdir().unwrap();
    let login = folder.path().join("login");
    std::fs::write(&login, format!("{USER}:{PASSWORD}\n")).unwrap();
    let who = [
        "--gateway",
        &url,
        "--basic-auth-file",
        login.to_str().unwrap(),
    ];
    let output = bench(&[&who[..], &SHORT].concat()).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(model.function_names().is_empty());
}
