//! A call's way, from the caller to the function and back to whoever asks.

use std::process::Command;
use std::time::Duration;

use reqwest::StatusCode;

use crate::server::Server;
use crate::stack::Stack;
use crate::until;

#[tokio::test]
async fn a_call_is_accepted_made_called_back_and_told_of() {
    let mut stack = Stack::start("60s").await;
    let callback = stack.functions.url("/callback");
    let headers = [
        ("x-callback-url", callback.as_str()),
        ("x-async-result", "keep"),
        ("x-call-id", "c-1"),
    ];
    let id = stack.accepted("f", &headers).await;
    let status = stack.stands(&id, "succeeded").await;
    assert_eq!(status["callId"], "c-1");
    assert_eq!(status["attempts"], 1);
    assert_eq!(status["result"]["status"], 200, "{status}");
    assert_eq!(stack.functions.times()[&id], 1);
    until("the callback", async || {
        !stack.functions.callbacks().is_empty()
    })
    .await;
    assert_eq!(
        stack.functions.callbacks(),
        [(id.clone(), "200".to_owned())]
    );

    let (_, by_call_id) = stack.get("/async-function/c-1").await;
    assert!(by_call_id.contains(&id), "{by_call_id}");
    let books = stack.settled().await;
    assert_eq!(
        (&books["accepted"], &books["succeeded"]),
        (&1.into(), &1.into())
    );

    let (_, page) = stack.worker_page("/metrics").await.unwrap();
    for series in [
        "queue_worker_messages_processed_total{queue_name=\"faas-request\"} 1",
        "queue_worker_nats_reconnect_total 0",
        "queue_worker_ledger_drift 0",
    ] {
        assert!(page.contains(series), "{series} is not in\n{page}");
    }
    assert_eq!(
        stack.worker_page("/readyz").await.unwrap().0,
        StatusCode::OK
    );
    assert_eq!(
        stack.worker_page("/healthz").await.unwrap().0,
        StatusCode::OK
    );
    let ended = stack.worker.as_mut().unwrap().stop().await;
    assert!(ended.success(), "{ended}");
}

#[tokio::test]
async fn a_call_that_is_put_off_is_made_in_time_and_can_be_cancelled() {
    let stack = Stack::start("60s").await;
    let posted = std::time::Instant::now();
    let id = stack.accepted("f", &[("x-delay", "2s")]).await;
    let other = stack.accepted("f", &[("x-delay", "3s")]).await;
    assert_eq!(stack.status(&id).await["state"], "queued");
    let path = format!("/async-function/{other}");
    assert_eq!(stack.delete(&path).await, StatusCode::ACCEPTED);
    stack.stands(&other, "cancelled").await;
    stack.stands(&id, "succeeded").await;
    let runs = stack.functions.runs();
    let after = runs[0].at - posted;
    let expected = Duration::from_secs(2)..Duration::from_secs(4);
    assert!(expected.contains(&after), "{after:?}");
    stack.wait(Duration::from_millis(1500)).await;
    assert_eq!(stack.functions.runs().len(), 1);
    let books = stack.settled().await;
    assert_eq!(
        (&books["accepted"], &books["cancelled"]),
        (&2.into(), &1.into())
    );
}

#[tokio::test]
async fn a_running_call_is_cancelled_and_a_dead_one_put_back() {
    let stack = Stack::with("60s", &[("max_retry_attempts", "1")]).await;
    stack.functions.plays("f", Duration::from_secs(600), 200);
    let id = stack.accepted("f", &[]).await;
    until("the call to run", async || {
        stack.functions.runs().len() == 1
    })
    .await;
    assert_eq!(stack.status(&id).await["state"], "running");
    let path = format!("/async-function/{id}");
    assert_eq!(stack.delete(&path).await, StatusCode::ACCEPTED);
    stack.stands(&id, "cancelled").await;

    stack.functions.plays("g", Duration::ZERO, 500);
    let id = stack.accepted("g", &[]).await;
    let status = stack.stands(&id, "dead").await;
    assert_eq!(
        (&status["attempts"], &status["failures"]),
        (&2.into(), &2.into())
    );
    assert_eq!(status["reason"], "retries_exhausted");
    let (_, letters) = stack.get("/system/dead-letters").await;
    assert!(letters.contains(&id), "{letters}");
    stack.settled().await;
}

#[tokio::test]
async fn without_nats_all_else_goes_on_and_asynchronous_calls_begin_with_it() {
    let mut stack = Stack::idle(Server::absent(&[]), "60s", &[]).await;
    stack.begin_worker();
    let (status, _) = stack.get("/function/f").await;
    assert_eq!(status, StatusCode::OK);
    let refused = stack.post("f", &[]).await;
    assert_eq!(refused, Err(Some(StatusCode::SERVICE_UNAVAILABLE)));
    let (status, page) = stack.gateway_page("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        page.contains("queue: there is no connection to NATS"),
        "{page}"
    );

    stack.nats.begin().await;
    until("the gateway to be ready", async || {
        stack.gateway_page("/readyz").await.0 == StatusCode::OK
    })
    .await;
    let id = stack.accepted("f", &[]).await;
    stack.stands(&id, "succeeded").await;
}

#[test]
fn the_program_tells_its_settings_and_refuses_wrong_ones() {
    let program = env!("CARGO_BIN_EXE_queue-worker");
    let help = Command::new(program).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for name in ["nats_host", "ack_wait", "max_inflight", "metrics_port"] {
        assert!(help.contains(name), "{help}");
    }
    let wrong = Command::new(program)
        .env("ack_wait", "soon")
        .env("nats_port", "x")
        .output()
        .unwrap();
    let line = String::from_utf8(wrong.stderr).unwrap();
    assert!(!wrong.status.success());
    assert!(
        line.contains("ack_wait") && line.contains("nats_port"),
        "{line}"
    );
    assert_eq!(line.trim_end().lines().count(), 1, "{line}");
}
