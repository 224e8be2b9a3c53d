//! A platform that is upgraded while it works. The newer programs are these same ones behind a proxy that makes the version
//! of all that they store one higher, and of all that they read as well.

use std::time::Duration;

use crate::proxy::Proxy;
use crate::server::Server;
use crate::stack::Stack;
use crate::until;

const NEWER: [(&str, &str); 2] = [("OF-V: 2\r\n", "OF-V: 3\r\n"), ("{\"v\":2,", "{\"v\":3,")];
const SETTINGS: [(&str, &str); 1] = [("initial_retry_wait", "200ms")];

/// A stack of the older programs, without a worker, and where the newer ones find NATS.
async fn older() -> (Stack, Proxy) {
    let stack = Stack::idle(Server::start().await, "5s", &SETTINGS).await;
    let newer = Proxy::translating(stack.nats.address, &NEWER).await;
    (stack, newer)
}

/// Calls of every kind, with a callback each: one that succeeds, one that fails first, one that is put off.
async fn calls(stack: &Stack) -> Vec<String> {
    let callback = stack.functions.url("/callback");
    let headers = [("x-callback-url", callback.as_str())];
    let put_off = [("x-callback-url", callback.as_str()), ("x-delay", "1s")];
    let mut accepted = stack.all_accepted("f", 20, &headers).await;
    accepted.extend(stack.all_accepted("g", 20, &headers).await);
    accepted.extend(stack.all_accepted("f", 20, &put_off).await);
    accepted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_are_upgraded_first_then_gateways_and_no_call_notices() {
    let (mut stack, newer) = older().await;
    stack.begin_worker();
    stack.functions.plays("g", Duration::ZERO, 503);
    let mut accepted = calls(&stack).await;
    let failed = async || stack.functions.times().values().any(|times| *times > 1);
    until("calls to be made again", failed).await;

    let ended = stack.worker.as_mut().unwrap().stop().await;
    assert!(ended.success());
    stack.begin_worker_through(newer.address);
    accepted.extend(calls(&stack).await);
    stack.gateway.kill();
    stack.begin_gateway_through(newer.address);
    stack.gateway_answers().await;
    stack.functions.plays("g", Duration::ZERO, 200);
    accepted.extend(calls(&stack).await);

    let books = stack.settled().await;
    assert_eq!(books["succeeded"], accepted.len(), "{books}");
    stack.functions.ran_twice(&accepted);
    until("the callbacks", async || {
        stack.functions.called_back_at().len() == accepted.len()
    })
    .await;
    for id in &accepted {
        assert_eq!(stack.status(id).await["state"], "succeeded");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_newer_gateway_accepted_waits_for_a_newer_worker() {
    let (mut stack, newer) = older().await;
    stack.gateway.kill();
    stack.begin_gateway_through(newer.address);
    stack.gateway_answers().await;
    stack.begin_worker();
    let accepted = calls(&stack).await;
    stack.wait(Duration::from_secs(2)).await;
    assert!(stack.functions.runs().is_empty());
    let (_, letters) = stack.get("/system/dead-letters").await;
    assert!(!letters.contains("undecodable"), "{letters}");

    let _newer_worker = stack.another_worker_through(newer.address);
    let books = stack.settled().await;
    assert_eq!(books["succeeded"], accepted.len(), "{books}");
    assert_eq!(stack.functions.ran_twice(&accepted), 0);
    // The older worker may take callbacks as long as it is there, and leaves them.
    let ended = stack.worker.as_mut().unwrap().stop().await;
    assert!(ended.success());
    until("the callbacks", async || {
        stack.functions.called_back_at().len() == accepted.len()
    })
    .await;
}
