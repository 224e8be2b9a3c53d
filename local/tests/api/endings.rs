//! How it ends, asked or not, and what is there again at the next start.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::processes::{alive, below, marked, running};
use crate::support::{Local, answer, soon, until};

/// Functions that never answer by themselves, with children, carrying a mark that no other test has.
async fn deploy_marked(local: &Local, count: usize, mark: &str) {
    let script = "read line; sleep 600 & cat; wait";
    std::fs::write(local.home.path().join("functions/linger.sh"), script).unwrap();
    readable(local);
    let deployments = (0..count).map(|number| {
        let body = json!({
            "service": format!("linger-{number}"),
            "image": "linger",
            "envProcess": "sh linger.sh",
            "envVars": {"mark": mark},
        });
        local.send(Method::POST, "/system/functions", body)
    });
    for (status, words) in join_all(deployments).await {
        assert_eq!(status, StatusCode::ACCEPTED, "{words}");
    }
}

/// A function has a uid of its own, and a temporary directory is its maker's alone.
pub(crate) fn readable(local: &Local) {
    use std::os::unix::fs::PermissionsExt;
    let scripts = std::fs::read_dir(local.home.path().join("functions")).unwrap();
    let scripts = scripts.map(|script| script.unwrap().path());
    for path in ["".into(), "functions".into()].into_iter().chain(scripts) {
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(local.home.path().join(path), mode).unwrap();
    }
}

pub(crate) fn mark() -> String {
    let directory = tempfile::tempdir().unwrap();
    directory
        .path()
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_under_load_leaves_no_process_of_20_functions() {
    let mut local = Local::start().await;
    let mark = mark();
    deploy_marked(&local, 20, &mark).await;
    let calls: Vec<_> = (0..20)
        .map(|number| {
            let path = format!("/function/linger-{number}");
            tokio::spawn(local.request(Method::POST, &path).body("go\n").send())
        })
        .collect();
    // Per function: sandbox, init, watchdog, sh, sleep, cat or wait.
    until("all functions to run", async || {
        below(local.pid()).len() >= 20 * 5 && running(&mark, "linger.sh") >= 20
    })
    .await;
    let before = below(local.pid());

    local.signal(Signal::SIGKILL);
    local.ended().await;
    let gone = async {
        while !alive(&before).is_empty() || !marked(&mark).is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let in_time = timeout(Duration::from_secs(1), gone).await;
    assert!(
        in_time.is_ok(),
        "left: {:?} {:?}",
        alive(&before),
        marked(&mark)
    );
    join_all(calls).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_after_kill_9_restores_what_was_answered() {
    let mut local = Local::start().await;
    local.deploy("count", "wc -c").await;
    local.scale("count", 2).await;
    let namespace = json!({"name": "dev", "labels": {"openfaas": "1"}});
    local
        .send(Method::POST, "/system/namespace/", namespace)
        .await;
    let secret = json!({"name": "key", "value": "kept", "namespace": "dev"});
    local.send(Method::POST, "/system/secrets", secret).await;
    let reader = json!({
        "service": "reader",
        "namespace": "dev",
        "image": "reader",
        "envProcess": "cat /var/openfaas/secrets/key",
        "secrets": ["key"],
    });
    assert_eq!(
        local
            .send(Method::POST, "/system/functions", reader)
            .await
            .0,
        202
    );
    let known = views(&local).await;
    local.signal(Signal::SIGKILL);
    local.ended().await;

    let again = Local::in_home(Arc::clone(&local.home), &[]).await;
    assert_eq!(views(&again).await, known);
    again.available("count", 2).await;
    assert_eq!(
        again.call("count", "hello").await,
        (StatusCode::OK, "5\n".into())
    );
    assert_eq!(
        again.call("reader.dev", "").await,
        (StatusCode::OK, "kept".into())
    );
}

/// Everything that can be listed, without what changes by itself.
async fn views(local: &Local) -> Vec<Value> {
    let mut views = Vec::new();
    for path in [
        "/system/namespaces",
        "/system/functions",
        "/system/functions?namespace=dev",
        "/system/secrets?namespace=dev",
    ] {
        let mut view = local.json(path).await;
        for function in view.as_array_mut().unwrap() {
            if let Some(function) = function.as_object_mut() {
                function.remove("availableReplicas");
                function.remove("invocationCount");
            }
        }
        views.push(view);
    }
    views
}

async fn drains_on(signal: Signal) {
    let mut local = Local::start().await;
    let mark = mark();
    std::fs::write(
        local.home.path().join("functions/linger.sh"),
        "read line; while [ ! -e go ]; do sleep 0.02; done; echo $line",
    )
    .unwrap();
    readable(&local);
    let body = json!({
        "service": "slow",
        "image": "slow",
        "envProcess": "sh linger.sh",
        "envVars": {"mark": mark},
    });
    assert_eq!(
        local.send(Method::POST, "/system/functions", body).await.0,
        202
    );
    let call = tokio::spawn(answer(
        local.request(Method::POST, "/function/slow").body("done\n"),
    ));
    until("the call to run", async || running(&mark, "linger.sh") == 1).await;
    let processes = below(local.pid());

    local.signal(signal);
    until("the drain", async || local.log().contains("draining")).await;
    std::fs::write(local.home.path().join("functions/go"), "").unwrap();
    assert_eq!(
        soon("the call", call).await.unwrap(),
        (StatusCode::OK, "done\n".into())
    );
    assert!(local.ended().await.success());
    until("the last words", async || local.log().contains("stopped")).await;
    assert_eq!(alive(&processes), [] as [&crate::processes::Process; 0]);
}

#[tokio::test]
async fn sigterm_lets_calls_in_flight_end() {
    drains_on(Signal::SIGTERM).await;
}

#[tokio::test]
async fn ctrl_c_lets_calls_in_flight_end() {
    drains_on(Signal::SIGINT).await;
}

#[tokio::test]
async fn a_follower_of_a_log_does_not_hold_up_the_end() {
    let mut local = Local::start().await;
    local.deploy("count", "wc -c").await;
    let follower = local.request(Method::GET, "/system/logs?name=count&follow=true");
    let response = soon("the log", follower.send()).await.unwrap();
    local.signal(Signal::SIGTERM);
    let rest = soon("the end of the log", response.text()).await;
    assert!(rest.is_ok(), "{rest:?}");
    assert!(local.ended().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_ctrl_c_does_not_wait_for_calls() {
    let mut local = Local::start().await;
    let mark = mark();
    deploy_marked(&local, 1, &mark).await;
    local.available("linger-0", 1).await;
    let call = local
        .request(Method::POST, "/function/linger-0")
        .body("go\n")
        .send();
    let call = tokio::spawn(call);
    until("the call to run", async || running(&mark, "sleep") > 0).await;
    local.signal(Signal::SIGINT);
    until("the drain", async || local.log().contains("draining")).await;
    local.signal(Signal::SIGINT);
    assert_eq!(local.ended().await.code(), Some(130));
    assert!(call.await.unwrap().is_err());
    until("its processes to be gone", async || {
        marked(&mark).is_empty()
    })
    .await;
}
