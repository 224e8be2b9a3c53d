//! Limits that limit.

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
    assert!(provider.capabilities.cpu.is_yes());
    // Works for a second, and says how many milliseconds that were: of CPU time, and on the wall.
    let script = "now() { date +%s%N; }; start=$(now); while [ $(($(now) - start)) -lt 1000000000 ]; do \
                  i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; done; \
                  awk -v wall=$(( ($(now) - start) / 1000000 )) '{print ($14+$15+$16+$17)*10, wall}' /proc/$$/stat";
    provider.home.script("busy.sh", script);
    provider
        .have(&limited("busy", "sh busy.sh", json!({"cpu": "100m"})))
        .await;
    let (status, text) = provider.call("busy", "").await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let (cpu, wall) = text.trim().split_once(' ').unwrap();
    let (cpu, wall): (u64, u64) = (cpu.parse().unwrap(), wall.parse().unwrap());
    // A tenth, and what a period may overrun. However busy the machine is, this only gets less.
    assert!(cpu * 10 <= wall * 3, "{cpu} ms of {wall} ms");
}

#[tokio::test]
async fn a_body_larger_than_the_memory_limit_goes_in_and_out() {
    let provider = Provider::start().await;
    let limits = json!({"memory": "32Mi"});
    let echo = limited("echo", "cat", limits);
    provider.have(&echo).await;
    let body = "x".repeat(100_000_000);
    let (status, answer) = provider.call("echo", &body).await;
    assert_eq!(status, 200, "{answer:.200}");
    assert!(answer == body);
    let log = provider.log("echo").await;
    assert!(!log.contains("memory limit"), "{log}");
}
