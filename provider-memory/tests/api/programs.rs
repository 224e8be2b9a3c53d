//! Programs that misbehave: a clear answer, a line in the log, and nothing left behind.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::binary::Binary;
use crate::processes::{below, marked, running};
use crate::support::{Home, Provider, accepted, function, mark, ok, until, with};

fn marked_function(name: &str, process: &str, mark: &str) -> Value {
    with(function(name, process), json!({"envVars": {"mark": mark}}))
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_named_in_the_answer_and_in_the_log() {
    let provider = Provider::start().await;
    provider.have(&function("typo", "wc-c --all")).await;
    let (status, words) = provider.call("typo", "").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(words.contains("wc-c"), "{words}");
    until("the log", async || {
        provider.log("typo").await.contains("wc-c")
    })
    .await;
    assert_eq!(
        provider.update(&function("typo", "wc -c")).await,
        accepted()
    );
    until("the mended one", async || {
        provider.call("typo", "hello").await == ok("5\n")
    })
    .await;
}

#[tokio::test]
async fn a_program_that_may_not_be_executed_is_named_with_the_reason() {
    let provider = Provider::start().await;
    let path = provider.home.path("functions/data.txt");
    std::fs::write(&path, "no program").unwrap();
    provider
        .have(&function("data", path.to_str().unwrap()))
        .await;
    let (status, words) = provider.call("data", "").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(
        words.to_lowercase().contains("permission denied"),
        "{words}"
    );
}

#[tokio::test]
async fn a_program_that_ends_at_once_is_a_500_for_its_failure_and_a_200_for_its_success() {
    let provider = Provider::start().await;
    provider.have(&function("fails", "false")).await;
    provider.have(&function("works", "true")).await;
    let (status, words) = provider.call("fails", "hello").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(words.contains("exit status 1"), "{words}");
    assert_eq!(provider.call("works", "hello").await, ok(""));
    assert_eq!(provider.status("fails").await["availableReplicas"], 1);
}

#[tokio::test]
async fn a_program_that_closes_its_input_early_still_answers() {
    let provider = Provider::start().await;
    provider.home.script("early.sh", "exec <&-; echo early");
    provider.have(&function("early", "sh early.sh")).await;
    let body = "x".repeat(8 << 20);
    assert_eq!(provider.call("early", &body).await, ok("early\n"));
}

#[tokio::test]
async fn a_hundred_megabytes_of_output_arrive_whole() {
    let provider = Provider::start().await;
    provider
        .have(&function("flood", "head -c 100000000 /dev/zero"))
        .await;
    let request = provider.request(reqwest::Method::GET, "/function/flood");
    let mut response = request.send().await.unwrap();
    let mut length = 0;
    while let Some(chunk) = response.chunk().await.unwrap() {
        length += chunk.len();
    }
    assert_eq!((response.status(), length), (StatusCode::OK, 100_000_000));
}

#[tokio::test]
async fn a_hundred_megabytes_of_log_do_not_stop_it() {
    let provider = Provider::start().await;
    provider.home.script(
        "flood.sh",
        "head -c 100000000 /dev/zero | tr '\\0' x | fold -w 1000 >&2; echo done",
    );
    let more = json!({"envVars": {"combine_output": "false"}});
    provider
        .have(&with(function("flood", "sh flood.sh"), more))
        .await;
    assert_eq!(provider.call("flood", "").await, ok("done\n"));
    let kept = provider.log("flood").await.replace('\n', "").len();
    assert!((500_000..=1 << 20).contains(&kept), "{kept}");
}

#[tokio::test]
async fn children_that_linger_go_with_their_function_and_so_do_those_that_ignore_sigterm() {
    let provider = Provider::start().await;
    let mark = mark();
    provider.home.script(
        "fork.sh",
        "trap '' TERM; (trap '' TERM; setsid sleep 611 </dev/null >/dev/null 2>&1 &); echo forked",
    );
    provider
        .have(&marked_function("fork", "sh fork.sh", &mark))
        .await;
    assert_eq!(provider.call("fork", "").await, ok("forked\n"));
    assert_eq!(provider.delete("fork").await, accepted());
    until("everything to end", async || marked(&mark).is_empty()).await;
}

#[tokio::test]
async fn a_call_that_ignores_sigterm_is_killed_when_the_drain_ends() {
    let provider = Provider::start().await;
    let mark = mark();
    provider
        .home
        .script("deaf.sh", "trap '' TERM; while :; do sleep 0.1; done");
    let body = with(
        function("deaf", "sh deaf.sh"),
        json!({"envVars": {"mark": mark, "write_timeout": "500ms", "exec_timeout": "1h"}}),
    );
    provider.have(&body).await;
    let call = {
        let api = crate::support::Api::clone(&provider);
        tokio::spawn(async move { api.call("deaf", "").await })
    };
    until("the call to run", async || running(&mark, "deaf.sh") > 0).await;
    assert_eq!(provider.delete("deaf").await, accepted());
    until("everything to end", async || marked(&mark).is_empty()).await;
    assert_ne!(call.await.unwrap().0, StatusCode::OK);
}

#[tokio::test]
async fn deploying_and_deleting_leaks_neither_descriptors_nor_processes() {
    let home = Home::new();
    let provider = Binary::start(&home).await;
    let mark = mark();
    let mut descriptors = Vec::new();
    for _ in 0..5 {
        for process in ["wc -c", "no-such-program", "false"] {
            provider.have(&marked_function("f", process, &mark)).await;
            provider.call("f", "hello").await;
            assert_eq!(provider.delete("f").await, accepted());
        }
        until("the replicas to go", async || {
            marked(&mark).is_empty() && below(provider.pid()).is_empty()
        })
        .await;
        descriptors.push(provider.descriptors());
    }
    // The first round opens what stays open, such as the caller's own connections; what the last one had open is closed soon.
    let most = descriptors[1] + 2;
    until("descriptors to be given back", async || {
        provider.descriptors() <= most
    })
    .await;
}
