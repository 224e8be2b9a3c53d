//! To zero, which all gateways have to agree to, and from zero, which any of them begins.

use std::time::{Duration, Instant};

use serde_json::json;

use super::gateways::{Process, are_asked_for, asked, labelled, leader_of, told};
use super::server::Server;
use crate::support::{Fake, Scale, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_at_three_gateways_wake_a_function_once() {
    const EACH: [usize; 3] = [334, 333, 333];
    let (nats, fake) = (Server::start().await, Fake::start().await);
    fake.on_scale(Scale::Cold);
    fake.deploy("f", labelled(0, json!({"com.openfaas.max_inflight": "10"})));
    let mut gateways = Vec::new();
    for who in ["a", "b", "c"] {
        gateways.push(Process::start(who, &fake, nats.address).await);
    }
    let (leader, others) = leader_of(gateways).await;
    let gateways: Vec<_> = [leader].into_iter().chain(others).collect();
    let began = Instant::now();
    let calls = gateways.iter().zip(EACH);
    let calls: Vec<_> = calls
        .map(|(gateway, count)| gateway.calls("/function/f/takes/100", count))
        .collect();
    let mut answered = 0;
    for calls in calls {
        for answer in soon("the answers", calls.join_all()).await {
            assert_eq!(answer.status, 200, "{answer:?}");
            answered += 1;
        }
    }
    let all = asked(&fake);
    println!(
        "{answered} answered in {:?}; asked for {:?}",
        began.elapsed(),
        told(&all)
    );
    assert_eq!(answered, 1000);
    // Two for each gateway, and all by the one that decides.
    assert!(all.len() <= 2 * gateways.len(), "{all:?}");
    assert!(all.iter().all(|asked| asked.by == all[0].by), "{all:?}");
    assert!(all.is_sorted_by_key(|asked| asked.replicas), "{all:?}");
    // How many were there when it was looked depends on the machine.
    assert!(all.last().unwrap().replicas > 1, "{all:?}");
}

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
