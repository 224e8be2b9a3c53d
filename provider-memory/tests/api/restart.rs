//! What is there again after the provider ended, however it ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use faas_provider_memory::sandbox::Allowed;
use futures_util::future::join_all;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::binary::Binary;
use crate::processes::{alive, below, marked};
use crate::support::{Api, Home, Provider, accepted, function, mark, ok, soon, until, with};

/// Functions, replica counts, a namespace and secrets.
async fn furnish(api: &Api) {
    api.create_namespace("dev").await;
    let secret = json!({"name": "key", "rawValue": "AP8K", "namespace": "dev"});
    api.create_secret(&secret).await;
    let reader = function("reader", "od -An -tx1 /var/openfaas/secrets/key");
    api.have(&with(
        reader,
        json!({"namespace": "dev", "secrets": ["key"]}),
    ))
    .await;
    api.have(&with(
        function("count", "wc -c"),
        json!({"labels": {"team": "a"}, "annotations": {"note": "ä\n"}}),
    ))
    .await;
    api.scale("count", 3).await;
    api.have(&function("asleep", "wc -c")).await;
    api.scale("asleep", 0).await;
    api.available("asleep", 0).await;
    api.available("count", 3).await;
}

async fn views(api: &Api) -> Vec<Value> {
    let paths = [
        "/system/namespaces",
        "/system/functions",
        "/system/functions?namespace=dev",
        "/system/secrets?namespace=dev",
    ];
    join_all(paths.iter().map(|path| api.json(path))).await
}

async fn is_furnished(api: &Api, before: &[Value]) {
    until("everything to run again", async || {
        views(api).await == before
    })
    .await;
    assert_eq!(api.call("count", "hello").await, ok("5\n"));
    assert_eq!(api.call("reader.dev", "").await, ok(" 00 ff 0a\n"));
}

#[tokio::test]
async fn everything_is_there_again_after_a_stop() {
    let home = Home::new();
    let provider = Provider::in_home(&home).await;
    furnish(&provider).await;
    let before = views(&provider).await;
    provider.stop().await;
    let provider = Provider::in_home(&home).await;
    is_furnished(&provider, &before).await;
}

#[tokio::test]
async fn everything_is_there_again_after_kill_9() {
    let home = Home::new();
    let mut provider = Binary::start(&home).await;
    furnish(&provider).await;
    let before = views(&provider).await;
    let processes = below(provider.pid());
    // Outer, init and watchdog of each of the four replicas.
    assert!(processes.len() >= 4 * 3, "{}", processes.len());
    provider.signal(Signal::SIGKILL);
    provider.ended().await;
    until("all processes to end", async || {
        alive(&processes).is_empty()
    })
    .await;
    let provider = Binary::start(&home).await;
    is_furnished(&provider, &before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_answered_is_lost_by_kill_9_in_a_burst_of_deployments() {
    let home = Home::new();
    let mut provider = Binary::start(&home).await;
    let dead = Arc::new(AtomicBool::new(false));
    let deployers: Vec<_> = (0..4)
        .map(|deployer| {
            let (api, dead) = (Api::clone(&provider), dead.clone());
            tokio::spawn(async move {
                let mut answered = Vec::new();
                for n in 0.. {
                    let name = format!("f-{deployer}-{n}");
                    let body = with(
                        function(&name, "cat"),
                        json!({"labels": {"com.openfaas.scale.min": "1"}}),
                    );
                    let request = api.request(reqwest::Method::POST, "/system/functions");
                    match request.body(body.to_string()).send().await {
                        Ok(answer) if answer.status() == 202 => answered.push(name),
                        _ => break,
                    }
                    if dead.load(Ordering::Relaxed) {
                        break;
                    }
                }
                answered
            })
        })
        .collect();
    until("a few functions", async || {
        provider
            .json("/system/functions")
            .await
            .as_array()
            .unwrap()
            .len()
            >= 12
    })
    .await;
    provider.signal(Signal::SIGKILL);
    provider.ended().await;
    dead.store(true, Ordering::Relaxed);
    let answered: Vec<String> = join_all(deployers)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    assert!(answered.len() >= 12);

    let provider = Binary::start(&home).await;
    let listed = provider.json("/system/functions").await;
    let listed: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    for name in &answered {
        assert!(listed.contains(&name.as_str()), "{name} of {listed:?}");
    }
    provider.available(&answered[answered.len() - 1], 1).await;
}

#[tokio::test]
async fn a_function_that_cannot_run_here_any_more_is_kept_and_says_why() {
    let home = Home::new();
    let map = home.path("images.toml");
    let text = "[\"mapped\"]\ncommand = \"wc -c\"\n";
    std::fs::write(&map, text).unwrap();
    let start = || {
        Provider::with(
            home.clone(),
            |config| config.image_map = Some(map.clone()),
            Allowed::default(),
        )
    };
    let provider = start().await;
    provider
        .have(&json!({"service": "mapped", "image": "mapped"}))
        .await;
    provider.stop().await;

    std::fs::write(&map, "").unwrap();
    let provider = start().await;
    assert_eq!(provider.status("mapped").await["availableReplicas"], 0);
    assert_eq!(provider.call("mapped", "").await.0, 503);
    let log = provider.log("mapped").await;
    assert!(
        log.contains("cannot run here: image: `mapped` has no program here"),
        "{log}"
    );
    assert_eq!(provider.scale("mapped", 1).await.0, 400);

    std::fs::write(&map, text).unwrap();
    assert_eq!(provider.scale("mapped", 1).await, accepted());
    provider.available("mapped", 1).await;
    assert_eq!(provider.call("mapped", "hello").await, ok("5\n"));
}

#[tokio::test]
async fn without_a_data_dir_a_provider_starts_with_nothing() {
    let home = Home::new();
    let start = || {
        Provider::with(
            home.clone(),
            |config| config.data_dir = None,
            Allowed::default(),
        )
    };
    let provider = start().await;
    provider.have(&function("count", "wc -c")).await;
    provider.stop().await;
    assert_eq!(start().await.get("/system/functions").await, ok("[]"));
    assert!(!home.path("data").exists());
}

#[tokio::test]
async fn a_stop_lets_calls_end_and_leaves_no_process() {
    let home = Home::new();
    let mut provider = Binary::start(&home).await;
    let mark = mark();
    home.script(
        "wait.sh",
        "read word; while [ ! -e go ]; do sleep 0.02; done; echo $word",
    );
    let body = with(
        function("wait", "sh wait.sh"),
        json!({"envVars": {"mark": mark}}),
    );
    provider.have(&body).await;
    let api = Api::clone(&provider);
    let call = tokio::spawn(async move { api.call("wait", "done\n").await });
    until("the call to run", async || {
        crate::processes::running(&mark, "wait.sh") == 1
    })
    .await;
    let processes = below(provider.pid());

    provider.signal(Signal::SIGTERM);
    until("the drain", async || provider.log().contains("draining")).await;
    assert!(!marked(&mark).is_empty());
    home.script("go", "");
    assert_eq!(soon("the call", call).await.unwrap(), ok("done\n"));
    assert!(provider.ended().await);
    until("the last words", async || {
        provider.log().contains("stopped")
    })
    .await;
    assert!(alive(&processes).is_empty());
}
