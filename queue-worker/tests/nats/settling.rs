//! A worker that dies, or hears nothing, between an answer and what is stored of it: its connection is a proxy's.

use reqwest::StatusCode;

use crate::proxy::Proxy;
use crate::server::Server;
use crate::stack::Stack;
use crate::until;

/// What a worker sends, in this order, of a call that has a callback.
const END: &str = "HPUB $KV.OF_status_faas-request.";
const CALLBACK: &str = "HPUB openfaas.callback.faas-request ";
const SETTLED: &str = "+TERM";

/// A stack whose worker is killed when it sends these words, which do not arrive; another one goes on. The call that was
/// made, with its callback.
async fn killed_at(words: &'static str) -> (Stack, String) {
    let mut stack = Stack::idle(Server::start().await, "2s", &[]).await;
    let proxy = Proxy::before(stack.nats.address).await;
    stack.begin_worker_through(proxy.address);
    proxy.swallow(words);
    let callback = stack.functions.url("/callback");
    let id = stack.accepted("f", &[("x-callback-url", &callback)]).await;
    until("the words", async || proxy.has_happened()).await;
    assert_eq!(stack.functions.runs().len(), 1);
    stack.worker.as_mut().unwrap().kill();
    stack.begin_worker();
    stack.stands(&id, "succeeded").await;
    until("the callback", async || {
        !stack.functions.callbacks().is_empty()
    })
    .await;
    let books = stack.settled().await;
    assert_eq!(books["succeeded"], 1, "{books}");
    assert_eq!(stack.functions.callbacks().len(), 1);
    (stack, id)
}

#[tokio::test]
async fn a_worker_killed_before_the_end_is_stored_leaves_a_call_that_is_made_once_more() {
    let (stack, id) = killed_at(END).await;
    assert_eq!(stack.functions.times()[&id], 2);
    assert_eq!(stack.status(&id).await["attempts"], 2);
}

#[tokio::test]
async fn a_worker_killed_before_the_callback_is_stored_leaves_a_call_that_is_only_called_back() {
    let (stack, id) = killed_at(CALLBACK).await;
    assert_eq!(stack.functions.times()[&id], 1);
}

#[tokio::test]
async fn a_worker_killed_before_the_call_is_settled_leaves_nothing_to_be_done() {
    let (stack, id) = killed_at(SETTLED).await;
    until("the call to leave", async || {
        stack.nats.info("OF_faas-request").await.state.messages == 0
    })
    .await;
    assert_eq!(stack.functions.times()[&id], 1);
    assert_eq!(stack.functions.callbacks().len(), 1);
}

#[tokio::test]
async fn answers_that_are_lost_while_settling_change_nothing() {
    // No lease ends here: what is lost is noticed.
    let mut stack = Stack::idle(Server::start().await, "300s", &[]).await;
    let proxy = Proxy::before(stack.nats.address).await;
    stack.begin_worker_through(proxy.address);
    let callback = stack.functions.url("/callback");
    for (number, words) in [END, CALLBACK, SETTLED].into_iter().enumerate() {
        until("the worker to be there", async || {
            let page = stack.worker_page("/readyz").await;
            page.is_some_and(|(status, _)| status == StatusCode::OK)
        })
        .await;
        proxy.lose_the_answer_to(words);
        let id = stack.accepted("f", &[("x-callback-url", &callback)]).await;
        until("the words", async || proxy.has_happened()).await;
        stack.stands(&id, "succeeded").await;
        until("the callback", async || {
            stack.functions.callbacks().len() > number
        })
        .await;
        until("the call to leave", async || {
            stack.nats.info("OF_faas-request").await.state.messages == 0
        })
        .await;
    }
    let books = stack.settled().await;
    assert_eq!(books["succeeded"], 3, "{books}");
    assert_eq!(stack.functions.runs().len(), 3);
    assert_eq!(stack.functions.callbacks().len(), 3);
}
