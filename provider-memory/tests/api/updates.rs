//! Updating, scaling down and deleting while calls run: none of them fails.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::processes::{alive, marked, running, sandboxes};
use crate::support::{
    Answer, Api, Provider, accepted, answer, function, mark, ok, soon, until, with,
};

/// Callers that call without a pause, until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    failures: Arc<Mutex<Vec<Answer>>>,
    callers: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(api: &Api, name: &'static str, callers: usize) -> Self {
        let mut load = Self {
            stop: Arc::default(),
            calls: Arc::default(),
            failures: Arc::default(),
            callers: Vec::new(),
        };
        for _ in 0..callers {
            let api = api.clone();
            let (stop, calls) = (load.stop.clone(), load.calls.clone());
            let failures = load.failures.clone();
            load.callers.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let answer = api.call(name, "hello").await;
                    calls.fetch_add(1, Ordering::Relaxed);
                    if answer.0 != 200 {
                        failures.lock().unwrap().push(answer);
                    }
                }
            }));
        }
        load
    }

    /// Waits until this many more calls have been answered.
    async fn more(&self, calls: usize) {
        let before = self.calls.load(Ordering::Relaxed);
        until("more calls", async || {
            self.calls.load(Ordering::Relaxed) >= before + calls
        })
        .await;
    }

    /// Ends it; the calls that failed.
    async fn failures(self) -> Vec<Answer> {
        self.stop.store(true, Ordering::Relaxed);
        join_all(self.callers).await;
        std::mem::take(&mut self.failures.lock().unwrap())
    }
}

fn version(n: usize) -> serde_json::Value {
    with(
        function("echo", "cat"),
        json!({"image": format!("v{n}"), "envVars": {"version": n.to_string()}}),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_during_five_updates() {
    let provider = Provider::start().await;
    provider.have(&version(0)).await;
    let load = Load::start(&provider, "echo", 16);
    for n in 1..=5 {
        load.more(60).await;
        assert_eq!(provider.update(&version(n)).await, accepted());
    }
    load.more(60).await;
    assert_eq!(load.failures().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_replicas_come_and_go() {
    let provider = Provider::start().await;
    provider.have(&version(0)).await;
    let load = Load::start(&provider, "echo", 16);
    for replicas in [3, 1, 4, 2, 1] {
        assert_eq!(provider.scale("echo", replicas).await, accepted());
        provider.available("echo", replicas).await;
        load.more(60).await;
    }
    assert_eq!(load.failures().await, []);
}

#[tokio::test]
async fn an_update_that_cannot_start_leaves_the_old_version_serving() {
    let provider = Provider::start().await;
    provider.have(&version(0)).await;
    // No mode of the watchdog: it does not start.
    let broken = with(version(1), json!({"envVars": {"mode": "teleport"}}));
    assert_eq!(provider.update(&broken).await, accepted());
    until("the log to say why", async || {
        provider.log("echo").await.contains("the watchdog ended")
    })
    .await;
    assert_eq!(provider.call("echo", "still").await, ok("still"));
    assert_eq!(provider.status("echo").await["availableReplicas"], 1);

    assert_eq!(provider.update(&version(2)).await, accepted());
    until("the mended version", async || {
        !marked("version=2").is_empty() && provider.status("echo").await["availableReplicas"] == 1
    })
    .await;
    assert_eq!(provider.call("echo", "mended").await, ok("mended"));
}

/// A function whose calls end when a file appears in the directory it starts in.
async fn waiting(provider: &Provider, mark: &str) -> Vec<JoinHandle<Answer>> {
    let script = "read word; while [ ! -e go ]; do sleep 0.02; done; echo $word";
    provider.home.script("wait.sh", script);
    let more = json!({"envVars": {"mark": mark}});
    provider
        .have(&with(function("wait", "sh wait.sh"), more))
        .await;
    provider.scale("wait", 2).await;
    provider.available("wait", 2).await;
    let calls = (0..10).map(|_| {
        let api = Api::clone(provider);
        tokio::spawn(async move { api.call("wait", "done\n").await })
    });
    let calls = calls.collect();
    until("the calls to run", async || running(mark, "wait.sh") == 10).await;
    calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scaling_down_lets_the_calls_in_flight_end() {
    let provider = Provider::start().await;
    let calls = waiting(&provider, &mark()).await;
    provider.scale("wait", 0).await;
    provider.available("wait", 0).await;
    provider.home.script("go", "");
    for call in join_all(calls).await {
        assert_eq!(call.unwrap(), ok("done\n"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_lets_the_calls_in_flight_end_and_then_leaves_no_process() {
    let provider = Provider::start().await;
    let mark = mark();
    let calls = waiting(&provider, &mark).await;
    let processes = sandboxes(&mark, i32::try_from(std::process::id()).unwrap());
    // Two sandboxes of three processes, and ten calls of two.
    assert!(processes.len() >= 2 * 3 + 10, "{}", processes.len());

    assert_eq!(provider.delete("wait").await, accepted());
    assert_eq!(provider.call("wait", "").await.0, 404);
    // The name is free at once.
    assert_eq!(
        provider.post_function(&function("wait", "wc -c")).await,
        accepted()
    );
    provider.available("wait", 1).await;
    assert_eq!(provider.call("wait", "hello").await, ok("5\n"));

    provider.home.script("go", "");
    for call in join_all(calls).await {
        assert_eq!(call.unwrap(), ok("done\n"));
    }
    until("the processes to end", async || {
        alive(&processes).is_empty() && marked(&mark).is_empty()
    })
    .await;
}

/// The address of a function's only replica, as a gateway hears of it.
async fn address(provider: &Provider, name: &str) -> String {
    let request = provider.request(Method::GET, "/system/endpoints");
    let mut response = soon("the endpoints", request.send()).await.unwrap();
    let mut text = String::new();
    while !text.contains("\"complete\":true") {
        let chunk = soon("the endpoints", response.chunk()).await.unwrap();
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
    }
    let mut lines = text.lines().filter(|line| line.contains(name));
    let line: serde_json::Value = serde_json::from_str(lines.next_back().unwrap()).unwrap();
    line["endpoints"][0]["address"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_providers_end_waits_for_calls_of_functions_that_were_deleted() {
    let provider = Provider::start().await;
    let mark = mark();
    let script = "read word; while [ ! -e go ]; do sleep 0.02; done; echo $word";
    provider.home.script("wait.sh", script);
    let more = json!({"envVars": {"mark": mark}});
    provider
        .have(&with(function("wait", "sh wait.sh"), more))
        .await;
    // As a gateway calls, not through the provider, which would wait for its own calls anyway.
    let replica = Api::at(format!("http://{}", address(&provider, "wait").await));
    let call =
        tokio::spawn(
            async move { answer(replica.request(Method::POST, "/").body("done\n")).await },
        );
    until("the call to run", async || running(&mark, "wait.sh") == 1).await;

    provider.delete("wait").await;
    let home = provider.home.clone();
    let health = provider.request(Method::GET, "/healthz");
    let stopping = tokio::spawn(provider.stop());
    until("the port to close", async || {
        health.try_clone().unwrap().send().await.is_err()
    })
    .await;
    assert!(!stopping.is_finished());
    home.script("go", "");
    assert_eq!(call.await.unwrap(), ok("done\n"));
    stopping.await.unwrap();
    assert_eq!(marked(&mark), [0; 0]);
}
