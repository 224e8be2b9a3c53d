//! To zero, which all gateways have to agree to.

use std::time::Duration;

use serde_json::json;

use super::gateways::{Process, are_asked_for, asked, labelled, leader_of};
use super::server::Server;
use crate::support::Fake;

/// Calls come at a gateway that does not decide, just when the function may sleep, again and again: it never does so while one
/// of them is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_is_not_put_to_sleep_while_another_gateway_has_a_call_of_it() {
    const ROUNDS: u64 = 40;
    let (nats, fake) = (Server::start().await, Fake::start().await);
    let labels =
        json!({"com.openfaas.scale.zero": "true", "com.openfaas.scale.zero-duration": "500ms"});
    fake.deploy("f", labelled(1, labels));
    let a = Process::start("a", &fake, nats.address).await;
    let b = Process::start("b", &fake, nats.address).await;
    let (leader, others) = leader_of([a, b]).await;
    are_asked_for(&fake, 0).await;
    for round in 0..ROUNDS {
        tokio::time::sleep(Duration::from_millis(350 + round * 37 % 500)).await;
        let answer = others[0].get("/function/f/takes/300").await;
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (200, "taken"),
            "in round {round}"
        );
    }
    let all = asked(&fake);
    let slept: Vec<_> = all.iter().filter(|asked| asked.replicas == 0).collect();
    let under_a_call = slept.iter().filter(|asked| asked.calls > 0).count();
    println!(
        "put to sleep {} times in {ROUNDS} rounds, {under_a_call} times under a call",
        slept.len()
    );
    assert_eq!(under_a_call, 0);
    assert!(slept.len() > 5, "it has hardly slept: {all:?}");
    assert!(slept.iter().all(|asked| asked.by == leader.who), "{all:?}");
}
