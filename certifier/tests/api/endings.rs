//! How a run ends: its exit status, its files, and what it says of secrets.

use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::model::{BASIC, Model};
use crate::switch::Switch;

const LIMIT: Duration = Duration::from_secs(60);

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_certifier"));
    command.args(arguments);
    command
}

async fn certifier(arguments: &[&str]) -> (Option<i32>, String) {
    told(command(arguments).output().await.unwrap())
}

fn told(output: Output) -> (Option<i32>, String) {
    let both = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(both).unwrap())
}

async fn platform(switch: Option<Switch>) -> String {
    Arc::new(Model::gateway(switch)).serve().await
}

#[tokio::test]
async fn where_there_is_nothing_to_check_the_status_is_2() {
    let url = platform(None).await;
    for arguments in [
        &["--gateway", "http://127.0.0.1:1"][..],
        &["--gateway", &url, "--filter", "delpoy"],
        &["--gateway", &url, "--group", "health", "--filter", "info"],
        &["--gateway", &url, "--group", "helath"],
        &["--gateway", &url, "--level", "most"],
        &["--gateway", &url, "--report", "xml"],
        &["--gateway", &url, "--expect-skips", "/nowhere"],
    ] {
        let (status, out) = certifier(arguments).await;
        assert_eq!(status, Some(2), "{arguments:?}: {out}");
    }
}

#[tokio::test]
async fn a_skip_that_is_not_on_the_list_fails_the_run() {
    let url = platform(None).await;
    let folder = tempfile::tempdir().unwrap();
    let run = async |list: &str| {
        let file = folder.path().join("skips");
        std::fs::write(&file, list).unwrap();
        let skip = [
            "--gateway",
            &url,
            "--group",
            "health",
            "--skip",
            "health.ok",
        ];
        let also = ["--group", "info", "--expect-skips", file.to_str().unwrap()];
        certifier(&[&skip[..], &also].concat()).await
    };
    let (status, out) = run("health.ok  # asked for\n").await;
    assert_eq!(status, Some(0), "{out}");
    let (status, out) = run("health.ok another\n").await;
    assert_eq!(status, Some(1), "{out}");
    assert!(out.contains("skips.expected"), "{out}");
    assert!(out.contains("health.ok openfaas-fn"), "{out}");
}

#[tokio::test]
async fn what_is_not_claimed_is_skipped_with_the_reason() {
    let url = platform(None).await;
    let secrets = ["--gateway", &url, "--group", "secrets"];
    let without = [
        "--without",
        "secrets",
        "--filter",
        "secrets.listed",
        "--group",
        "health",
    ];
    let (status, out) = certifier(&[&secrets[..], &without].concat()).await;
    // Nothing was checked, so nothing is certified.
    assert_eq!(status, Some(1), "{out}");
    assert!(out.contains("not claimed: secrets (--without)"), "{out}");
}

#[tokio::test]
async fn callbacks_and_metrics_are_looked_at_where_it_is_said_where_they_are() {
    let url = platform(None).await;
    let arguments = [
        "--gateway",
        &url,
        "--filter",
        "callbacks.",
        "--filter",
        "metrics.",
        "--probe-image",
        "probe",
        "--parallel",
        "8",
    ];
    let (status, out) = certifier(&arguments).await;
    assert_eq!(status, Some(0), "{out}");
    for option in ["--callback-address", "--metrics-url"] {
        assert!(out.contains(&format!("see {option}")), "{out}");
    }
    let metrics = format!("{url}/metrics");
    let told = ["--callback-address", "127.0.0.1", "--metrics-url", &metrics];
    let (status, out) = certifier(&[&arguments[..], &told].concat()).await;
    assert_eq!(status, Some(0), "{out}");
    for id in ["callbacks.body", "metrics.calls"] {
        assert!(
            out.lines()
                .any(|line| line.starts_with("passed") && line.contains(id)),
            "{out}"
        );
    }
}

#[tokio::test]
async fn reports_go_to_as_many_files_as_are_named() {
    let url = platform(Some(Switch::Unhealthy)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (junit, tap) = (file("junit.xml"), file("tap"));
    let (junit_argument, tap_argument) = (format!("junit={junit}"), format!("tap={tap}"));
    let run = [
        "--gateway",
        &url,
        "--filter",
        "health.ok",
        "--report",
        "text",
    ];
    let files = ["--report", &junit_argument, "--report", &tap_argument];
    let (status, out) = certifier(&[&run[..], &files].concat()).await;
    assert_eq!(status, Some(1), "{out}");
    assert!(out.contains("1 failed"), "{out}");
    let read = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap();
    assert!(read(&junit).contains("<failure"));
    assert!(read(&tap).contains("not ok 2 - health.ok"));
}

#[tokio::test]
async fn neither_the_password_nor_a_secret_stands_in_a_report() {
    let model = Model::gateway(Some(Switch::SecretCreateIs204)).wanting(BASIC);
    let url = Arc::new(model).serve().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("login");
    let login = format!("{}:{}", crate::model::USER, crate::model::PASSWORD);
    std::fs::write(&file, &login).unwrap();
    for report in ["text", "json", "junit", "tap"] {
        let run = ["--gateway", &url, "--filter", "secrets.create-text"];
        let how = [
            "--report",
            report,
            "--basic-auth-file",
            file.to_str().unwrap(),
        ];
        let (status, out) = certifier(&[&run[..], &how].concat()).await;
        assert_eq!(status, Some(1), "{out}");
        assert!(out.contains("secrets.create-text"), "{out}");
        for hidden in [
            BASIC.trim_start_matches("Basic "),
            "the first text of this secret",
        ] {
            assert!(!out.contains(hidden), "{report}: {out}");
        }
    }
}

#[tokio::test]
async fn the_flags_and_variables_of_the_original_are_understood() {
    let url = platform(None).await;
    let flag = format!("-gateway={url}");
    let (status, out) = certifier(&[&flag, "-secretUpdate=false", "--group", "health"]).await;
    assert_eq!(status, Some(0), "{out}");

    let mut command = command(&["--group", "health"]);
    let output = command.env("gateway_url", &url).output().await.unwrap();
    let (status, out) = told(output);
    assert_eq!(status, Some(0), "{out}");
}

#[tokio::test]
async fn a_second_signal_ends_the_run_at_once() {
    // It never lets go of what was made, so the clean-up would go on for long.
    let model = Arc::new(Model::gateway(Some(Switch::DeleteIgnored)));
    let url = model.serve().await;
    let mut child = command(&["--gateway", &url, "--group", "deploy"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deployed = async {
        while model.function_names().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, deployed).await.unwrap();
    signal(&child, "-TERM").await;
    // The first is only seen once the program has had a turn; the second must not be taken for it.
    let ended = async {
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            signal(&child, "-TERM").await;
        }
    };
    let status = timeout(LIMIT, ended).await.unwrap();
    assert_eq!(status.code(), Some(130));
}

async fn signal(child: &Child, name: &str) {
    let Some(id) = child.id() else {
        return;
    };
    let sent = Command::new("kill").args([name, &id.to_string()]).status();
    let _ = sent.await.unwrap();
}
