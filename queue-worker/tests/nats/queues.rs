//! Further queues, which functions name.

use reqwest::StatusCode;

use crate::server::Server;
use crate::stack::Stack;
use crate::until;

#[tokio::test]
async fn a_function_s_calls_wait_in_the_queue_that_it_names_for_workers_of_that_queue() {
    let further = [("async_queues", "slow")];
    let mut stack = Stack::idle(Server::start().await, "60s", &further).await;
    stack.begin_worker();
    let slow = stack.accepted("slow", &[("x-async-result", "keep")]).await;
    let other = stack.accepted("f", &[]).await;
    stack.stands(&other, "succeeded").await;
    let waits = stack.status(&slow).await;
    assert_eq!(
        (&waits["state"], &waits["queue"]),
        (&"queued".into(), &"slow".into())
    );
    let (_, told) = stack.get("/system/queues").await;
    assert!(told.contains("\"accepted\":2"), "{told}");
    assert!(told.contains("\"function\":\"slow.openfaas-fn\""), "{told}");
    let cancelled = stack.accepted("slow", &[]).await;
    let path = format!("/async-function/{cancelled}");
    assert_eq!(stack.delete(&path).await, StatusCode::ACCEPTED);
    stack.stands(&cancelled, "cancelled").await;
    assert_eq!(
        stack.post("none", &[]).await,
        Err(Some(StatusCode::BAD_REQUEST))
    );

    let _worker = stack.worker_of_queue("slow");
    let status = stack.stands(&slow, "succeeded").await;
    assert_eq!(status["result"]["status"], 200, "{status}");
    let books = stack.settled().await;
    assert_eq!(books["accepted"], 3, "{books}");
}

#[tokio::test]
async fn connections_that_are_made_again_are_counted() {
    let mut stack = Stack::start("60s").await;
    let page = async || stack.gateway_page("/metrics").await.1;
    let before = page().await;
    assert!(
        before.contains("gateway_nats_reconnect_total 0"),
        "{before}"
    );
    stack.nats.kill();
    stack.nats.begin().await;
    until("the connection", async || {
        let (_, page) = stack.gateway_page("/metrics").await;
        page.contains("gateway_nats_reconnect_total 1")
    })
    .await;
}
