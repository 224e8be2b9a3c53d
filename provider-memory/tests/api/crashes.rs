//! Replicas that die.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::processes::{marked, running};
use crate::support::{Provider, accepted, function, mark, ok, until, with};

#[tokio::test]
async fn a_watchdog_that_cannot_start_is_tried_again_ever_more_slowly() {
    let provider = Provider::start().await;
    let broken = with(
        function("broken", "cat"),
        json!({"envVars": {"mode": "teleport"}}),
    );
    assert_eq!(provider.post_function(&broken).await, accepted());
    until("a third try", async || {
        provider
            .log("broken")
            .await
            .matches("the watchdog ended")
            .count()
            >= 3
    })
    .await;
    let lines = provider.log_lines("broken", "").await;
    let ended: Vec<&str> = lines
        .iter()
        .filter(|line| {
            line["text"]
                .as_str()
                .unwrap()
                .contains("the watchdog ended")
        })
        .map(|line| line["instance"].as_str().unwrap())
        .collect();
    assert_eq!(ended[..3], ["broken-1", "broken-2", "broken-3"]);
    assert_eq!(provider.status("broken").await["availableReplicas"], 0);
    assert_eq!(provider.call("broken", "").await.0, 503);
    // Something else is tried at once, whatever the pause has grown to.
    assert_eq!(
        provider.update(&function("broken", "wc -c")).await,
        accepted()
    );
    provider.available("broken", 1).await;
    assert_eq!(provider.call("broken", "hello").await, ok("5\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_killed_is_replaced_and_the_log_says_so() {
    let provider = Provider::start().await;
    let mark = mark();
    let more = json!({"envVars": {"mark": mark}});
    provider.have(&with(function("count", "wc -c"), more)).await;
    provider.scale("count", 2).await;
    provider.available("count", 2).await;
    let watchdogs = marked(&mark);
    assert_eq!(running(&mark, "fwatchdog"), 2);

    for killed in watchdogs {
        let _ = kill(Pid::from_raw(killed), Signal::SIGKILL);
        until("the replica to be replaced", async || {
            let now = marked(&mark);
            !now.contains(&killed) && running(&mark, "fwatchdog") == 2
        })
        .await;
        provider.available("count", 2).await;
        until("calls to work", async || {
            provider.call("count", "hello").await == ok("5\n")
        })
        .await;
    }
    let log = provider.log("count").await;
    assert_eq!(
        log.matches("the watchdog ended (signal: 9").count(),
        2,
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_on_while_one_of_two_replicas_is_killed() {
    let provider = Provider::start().await;
    let mark = mark();
    let more = json!({"envVars": {"mark": mark}});
    provider.have(&with(function("count", "wc -c"), more)).await;
    provider.scale("count", 2).await;
    provider.available("count", 2).await;
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let api = crate::support::Api::clone(&provider);
            tokio::spawn(async move {
                let mut failed = 0;
                for _ in 0..100 {
                    let (status, words) = api.call("count", "hello").await;
                    assert!(matches!(status.as_u16(), 200 | 502), "{status} {words}");
                    failed += usize::from(status != 200);
                }
                failed
            })
        })
        .collect();
    kill(Pid::from_raw(marked(&mark)[0]), Signal::SIGKILL).unwrap();
    let mut failed = 0;
    for call in calls {
        failed += call.await.unwrap();
    }
    // Those that were under way on it, one for each caller.
    assert!(failed <= 4, "{failed}");
    provider.available("count", 2).await;
}
