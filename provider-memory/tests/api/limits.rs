//! Limits that limit.

use std::time::Duration;

use faas_provider_memory::sandbox::{Allowed, MemoryLimit};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Provider, function, ok, until, with};

/// Takes 100 MB of memory when it is sent anything, and tells how many bytes.
const GREEDY: &str =
    "read line; [ -z \"$line\" ] || head -c 100000000 /dev/zero | tail -c 100000000 | wc -c";

fn limited(name: &str, process: &str, limits: Value) -> Value {
    with(function(name, process), json!({"limits": limits}))
}

async fn memory_is_limited(provider: &Provider) {
    provider.home.script("greedy.sh", GREEDY);
    provider
        .have(&limited(
            "greedy",
            "sh greedy.sh",
            json!({"memory": "20Mi"}),
        ))
        .await;
    let (status, answer) = provider.call("greedy", "go\n").await;
    assert!(
        status != 200 || answer != "100000000\n",
        "{status} {answer}"
    );
    until("the log to say so", async || {
        let log = provider.log("greedy").await;
        log.contains("memory limit of 20971520 bytes reached")
            || log.contains("killed for its memory limit")
    })
    .await;
    until("the next call to work", async || {
        provider.call("greedy", "\n").await == ok("")
    })
    .await;

    // The same without a limit works, so it was the limit.
    provider.have(&function("free", "sh greedy.sh")).await;
    assert_eq!(provider.call("free", "go\n").await, ok("100000000\n"));
}

#[tokio::test]
async fn the_kernel_keeps_a_function_within_its_memory() {
    let provider = Provider::start().await;
    let limit = &provider.capabilities.memory;
    assert!(!matches!(limit, MemoryLimit::Polling(_)), "{limit}");
    memory_is_limited(&provider).await;
}

#[tokio::test]
async fn the_provider_keeps_it_where_the_kernel_does_not() {
    let allowed = Allowed {
        cgroups: false,
        ..Allowed::default()
    };
    let provider = Provider::allowed(allowed).await;
    // Slowly, because four readings a second can miss what comes and goes.
    let slow = "read line; [ -z \"$line\" ] || { head -c 100000000 /dev/zero; sleep 5; } | tail -c 100000000 | wc -c";
    provider.home.script("greedy.sh", slow);
    provider
        .have(&limited(
            "greedy",
            "sh greedy.sh",
            json!({"memory": "20Mi"}),
        ))
        .await;
    let (status, answer) = provider.call("greedy", "go\n").await;
    assert!(status == StatusCode::BAD_GATEWAY, "{status} {answer}");
    until("the log to say so", async || {
        provider.log("greedy").await.contains("memory limit")
    })
    .await;
    until("the next call to work", async || {
        provider.call("greedy", "\n").await == ok("")
    })
    .await;
}

#[tokio::test]
async fn a_function_gets_no_more_cpu_than_it_may_have() {
    let provider = Provider::start().await;
    // Counts for a second of its own CPU time, and says how many centiseconds passed on the wall.
    let script = "start=$(date +%s%N); i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; \
                  echo $(( ($(date +%s%N) - start) / 1000000 ))";
    provider.home.script("busy.sh", script);
    provider.have(&function("free", "sh busy.sh")).await;
    provider
        .have(&limited("bound", "sh busy.sh", json!({"cpu": "100m"})))
        .await;
    let time = async |name: &str| {
        let (status, text) = provider.call(name, "").await;
        assert_eq!(status, StatusCode::OK, "{text}");
        Duration::from_millis(text.trim().parse().unwrap())
    };
    let free = time("free").await;
    let bound = time("bound").await;
    assert!(bound > free * 2, "{bound:?} is not much more than {free:?}");
}
