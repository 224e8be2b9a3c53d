//! Changes under load, through the gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Local, answer, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_a_function_is_updated_and_scaled() {
    let local = Arc::new(Local::start().await);
    local.deploy("echo", "cat").await;
    local.available("echo", 1).await;
    let (stop, calls) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let callers: Vec<_> = (0..16)
        .map(|_| {
            let (local, stop, calls) = (local.clone(), stop.clone(), calls.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let answer = local.call("echo", "hello").await;
                    assert_eq!(answer, (StatusCode::OK, "hello".to_owned()));
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for version in 1..=5 {
        let before = calls.load(Ordering::Relaxed);
        until("more calls", async || {
            callers.iter().any(|caller| caller.is_finished())
                || calls.load(Ordering::Relaxed) > before + 60
        })
        .await;
        let body = json!({
            "service": "echo",
            "image": format!("echo:{version}"),
            "envProcess": "cat",
        });
        let updated = answer(
            local
                .request(Method::PUT, "/system/functions")
                .body(body.to_string()),
        );
        assert_eq!(updated.await.0, StatusCode::ACCEPTED);
        local.scale("echo", 1 + version % 2).await;
    }
    stop.store(true, Ordering::Relaxed);
    for caller in join_all(callers).await {
        caller.unwrap();
    }
}
