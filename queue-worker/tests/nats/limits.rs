//! Calls that the gateway does not take, and what it says to their callers.

use futures_util::future::join_all;
use reqwest::StatusCode;

use crate::server::Server;
use crate::stack::Stack;
use crate::until;

#[tokio::test]
async fn a_full_queue_takes_exactly_what_it_may_and_loses_none_of_it() {
    let further = [("async_max_messages", "100")];
    let mut stack = Stack::idle(Server::start().await, "60s", &further).await;
    let posts = join_all((0..150).map(|_| stack.post("f", &[]))).await;
    let accepted: Vec<String> = posts.iter().filter_map(|post| post.clone().ok()).collect();
    let full = posts
        .iter()
        .filter(|post| **post == Err(Some(StatusCode::SERVICE_UNAVAILABLE)));
    assert_eq!((accepted.len(), full.count()), (100, 50));
    let refused = stack.answer("f", &[], Vec::new()).await.unwrap();
    assert_eq!(refused.headers()["retry-after"], "1");
    stack.begin_worker();
    let books = stack.settled().await;
    assert_eq!(books["succeeded"], 100, "{books}");
    assert_eq!(stack.functions.ran_twice(&accepted), 0);
    assert_eq!(stack.functions.runs().len(), 100);
}

#[tokio::test]
async fn a_function_whose_share_is_full_takes_none_from_another() {
    let further = [("async_max_messages_per_function", "10")];
    let mut stack = Stack::idle(Server::start().await, "60s", &further).await;
    let posts = join_all((0..30).map(|_| stack.post("f", &[]))).await;
    let accepted: Vec<String> = posts.iter().filter_map(|post| post.clone().ok()).collect();
    let full = posts
        .iter()
        .filter(|post| **post == Err(Some(StatusCode::TOO_MANY_REQUESTS)));
    assert_eq!((accepted.len(), full.count()), (10, 20));
    let refused = stack.answer("f", &[], Vec::new()).await.unwrap();
    assert_eq!(refused.headers()["retry-after"], "1");
    let others = stack.all_accepted("g", 10, &[]).await;
    stack.begin_worker();
    stack.settled().await;
    assert_eq!(stack.functions.ran_twice(&[accepted, others].concat()), 0);
    let id = stack.accepted("f", &[]).await;
    stack.stands(&id, "succeeded").await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_nobody_else_notices() {
    let further = [("async_max_body_bytes", "2000000")];
    let stack = Stack::idle(Server::start().await, "60s", &further).await;
    // The server counts the streams that it makes among its clients.
    until("the gateway's last stream", async || {
        let nats = stack.nats.look().await;
        nats.get_stream("KV_OF_leader").await.is_ok()
    })
    .await;
    let before = connections(&stack).await;
    let large = stack.answer("f", &[], vec![7; 2_000_001]);
    let others = stack.all_accepted("f", 50, &[]);
    let (large, others) = tokio::join!(large, others);
    assert_eq!(large.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(others.len(), 50);
    let after = connections(&stack).await;
    assert_eq!(after, before + 1, "the gateway connected again");
    let held = stack.nats.info("OF_faas-request").await.state.messages;
    assert_eq!(held, 50);
}

/// Connections that there were so far, this one included.
async fn connections(stack: &Stack) -> u64 {
    let client = async_nats::connect(stack.nats.at()).await.unwrap();
    client.server_info().client_id
}
