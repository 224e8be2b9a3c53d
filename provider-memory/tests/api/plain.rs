//! A machine that permits nothing: plain processes, and no secrets in a shared directory.

use faas_provider_memory::sandbox::Allowed;
use reqwest::StatusCode;
use serde_json::json;

use crate::processes::{alive, marked, running, sandboxes};
use crate::support::{Provider, accepted, function, mark, ok, until, with};

#[tokio::test]
async fn functions_run_as_plain_processes_and_end_with_all_their_children() {
    let provider = Provider::allowed(Allowed::nothing()).await;
    assert!(!provider.capabilities.mount_namespace.is_yes());
    let mark = mark();
    provider.home.script(
        "fork.sh",
        "setsid sleep 612 </dev/null >/dev/null 2>&1 & wc -c",
    );
    let more = json!({"envVars": {"mark": mark}});
    provider
        .have(&with(function("fork", "sh fork.sh"), more))
        .await;
    assert_eq!(provider.call("fork", "hello").await.0, StatusCode::OK);
    let processes = sandboxes(&mark, i32::try_from(std::process::id()).unwrap());
    assert!(processes.len() >= 3, "{}", processes.len());
    provider.delete("fork").await;
    until("everything to end", async || {
        alive(&processes).is_empty() && marked(&mark).is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_deployment_with_secrets_is_refused_and_says_what_is_missing() {
    let provider = Provider::allowed(Allowed::nothing()).await;
    provider
        .create_secret(&json!({"name": "key", "value": "x"}))
        .await;
    let body = with(function("reader", "cat"), json!({"secrets": ["key"]}));
    let (status, words) = provider.post_function(&body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        words.starts_with("secrets: secrets need a mount namespace"),
        "{words}"
    );
    assert_eq!(provider.get("/system/functions").await, ok("[]"));
}

#[tokio::test]
async fn a_replica_that_goes_does_not_take_the_others_out_of_service() {
    let provider = Provider::allowed(Allowed::nothing()).await;
    provider
        .home
        .script("tmp.sh", "echo $TMPDIR; ls -a $TMPDIR");
    provider.have(&function("tmp", "sh tmp.sh")).await;
    provider.scale("tmp", 3).await;
    provider.available("tmp", 3).await;
    let (_, answer) = provider.call("tmp", "").await;
    assert!(
        answer.contains("/ferro-") && answer.contains("\n.lock"),
        "{answer}"
    );
    let directory = std::path::PathBuf::from(answer.lines().next().unwrap());
    assert!(directory.exists());

    provider.have(&function("other", "true")).await;
    provider.delete("other").await;
    provider.scale("tmp", 1).await;
    provider.available("tmp", 1).await;
    // As the provider asks: the replica that stays is healthy, though others removed their lock files.
    until("the others to go", async || {
        provider.log("tmp").await.matches("Exiting").count() == 2
    })
    .await;
    assert_eq!(provider.call("tmp", "").await.0, StatusCode::OK);
    let ready = provider.request(reqwest::Method::GET, "/function/tmp/_/ready");
    assert_eq!(ready.send().await.unwrap().status(), StatusCode::OK);

    assert_eq!(provider.delete("tmp").await, accepted());
    until("the directory to go", async || !directory.exists()).await;
}

/// Not a test: the provider that [`kill_9_leaves_no_orphan_without_namespaces_either`] starts and kills.
#[tokio::test]
#[ignore = "started by the test below it"]
async fn stand_in() {
    // Its own environment must not have the mark.
    let Ok(number) = std::env::var("number") else {
        return;
    };
    let mark = format!("mark-{number}");
    let provider = Provider::allowed(Allowed::nothing()).await;
    provider.home.script(
        "fork.sh",
        "setsid sleep 613 </dev/null >/dev/null 2>&1 & sleep 614",
    );
    let more = json!({"envVars": {"mark": mark}});
    provider
        .have(&with(function("fork", "sh fork.sh"), more))
        .await;
    provider.call("fork", "").await;
}

#[tokio::test]
async fn kill_9_leaves_no_orphan_without_namespaces_either() {
    let mark = mark();
    // What is killed cannot tidy up; the directories of its replicas go with this one.
    let tmp = tempfile::tempdir().unwrap();
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command.env("TMPDIR", tmp.path());
    command
        .args(["--ignored", "--exact", "plain::stand_in"])
        .env("number", mark.trim_start_matches("mark-"))
        .kill_on_drop(true);
    let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    let provider = i32::try_from(child.id().unwrap()).unwrap();
    until("the function's children", async || {
        running(&mark, "sleep") == 2
    })
    .await;
    let processes = sandboxes(&mark, provider);

    child.kill().await.unwrap();
    until("all processes to end", async || {
        alive(&processes).is_empty() && marked(&mark).is_empty()
    })
    .await;
}
