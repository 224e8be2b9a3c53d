//! To zero, which all gateways have to agree to, and from zero, which any of them begins.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::gateways::{Process, are_asked_for, asked, labelled, leader_of, leads, told};
use super::server::Server;
use crate::support::{Fake, Memory, Scale, soon, until};

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
    let why = gateways[2].why().await;
    let changes = why["changes"].as_array().unwrap();
    assert_eq!(changes[0]["to"], all.last().unwrap().replicas, "{why}");
    let woken = |change: &Value| change["reason"] == "activation";
    assert!(changes.iter().all(woken), "{why}");
}

/// Calls come at a gateway that does not decide, just when the function may sleep, again and again: it never does so while one
/// of them is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_is_not_put_to_sleep_while_another_gateway_has_a_call_of_it() {
    const SLEPT: usize = 10;
    let (nats, fake) = (Server::start().await, Fake::start().await);
    let labels =
        json!({"com.openfaas.scale.zero": "true", "com.openfaas.scale.zero-duration": "500ms"});
    fake.deploy("f", labelled(1, labels));
    let a = Process::start("a", &fake, nats.address).await;
    let b = Process::start("b", &fake, nats.address).await;
    let (leader, others) = leader_of([a, b]).await;
    are_asked_for(&fake, 0).await;
    let slept = || asked(&fake).into_iter().filter(|asked| asked.replicas == 0);
    let mut rounds = 0;
    while slept().count() < SLEPT && rounds < 200 {
        tokio::time::sleep(Duration::from_millis(350 + rounds * 37 % 500)).await;
        let answer = others[0].get("/function/f/takes/300").await;
        let told = (answer.status, answer.text.as_str());
        assert_eq!(told, (200, "taken"), "in round {rounds}");
        rounds += 1;
    }
    let under_a_call = slept().filter(|asked| asked.calls > 0).count();
    let slept: Vec<_> = slept().collect();
    println!(
        "put to sleep {} times in {rounds} rounds, {under_a_call} times under a call",
        slept.len()
    );
    assert_eq!(under_a_call, 0);
    assert!(slept.len() >= SLEPT, "it has hardly slept: {slept:?}");
    assert!(
        slept.iter().all(|asked| asked.by == leader.who),
        "{slept:?}"
    );
}

/// Calls come at each gateway in turn, just when the function may sleep, before a provider that ends what it takes away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_at_two_gateways_at_the_moment_of_falling_asleep_are_all_answered() {
    let (nats, memory) = (Server::start().await, Memory::start().await);
    let provider = format!("http://{}/", memory.address);
    let a = Process::before(&provider, "a", nats.address).await;
    let b = Process::before(&provider, "b", nats.address).await;
    let (leader, others) = leader_of([a, b]).await;
    let labels =
        json!({"com.openfaas.scale.zero": "true", "com.openfaas.scale.zero-duration": "300ms"});
    let function = json!({"service": "f", "image": "none", "envProcess": "cat", "labels": labels});
    leader.deploy(&function).await;
    let name = ("function_name", "f.openfaas-fn");
    let slept = async || {
        let labels = [name, ("reason", "idle")];
        leader
            .sample("gateway_autoscaler_decisions_total", &labels)
            .await
    };
    let mut rounds = 0;
    while slept().await < Some(20.0) && rounds < 200 {
        tokio::time::sleep(Duration::from_millis(250 + rounds * 37 % 300)).await;
        let gateway = [&leader, &others[0]][rounds as usize % 2];
        let answer = gateway.post("/function/f", "here").await;
        let told = (answer.status, answer.text.as_str());
        assert_eq!(told, (200, "here"), "in round {rounds}");
        rounds += 1;
    }
    println!("put to sleep {:?} times in {rounds} rounds", slept().await);
    assert!(slept().await >= Some(20.0));
}

/// The one that decides has asked the provider to take the last replica away, which takes a moment. The provider publishes no
/// table: what the other gateway read of it last says that the replica is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_comes_at_another_gateway_while_a_function_falls_asleep_waits_and_wakes_it() {
    let (nats, fake) = (Server::start().await, Fake::foreign().await);
    let labels =
        json!({"com.openfaas.scale.zero": "true", "com.openfaas.scale.zero-duration": "1s"});
    fake.deploy("f", labelled(1, labels));
    let a = Process::start("a", &fake, nats.address).await;
    let b = Process::start("b", &fake, nats.address).await;
    let (leader, others) = leader_of([a, b]).await;
    let other = &others[0];
    assert_eq!(other.get("/function/f").await.status, 200);
    fake.on_scale(Scale::Late);
    for _ in 0..3 {
        let before = asked(&fake).len();
        until("the provider to be asked", async || {
            asked(&fake).len() > before
        })
        .await;
        assert_eq!(told(&asked(&fake)).last(), Some(&(leader.who, 0)));
        let answer = other.get("/function/f/takes/1").await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "taken"));
        assert_eq!(asked(&fake).last().unwrap().replicas, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_put_into_the_queue_by_any_gateway_wakes_a_function_that_is_scaled_by_it() {
    let (nats, fake) = (Server::start().await, Fake::start().await);
    fake.deploy(
        "f",
        labelled(0, json!({"com.openfaas.scale.type": "queue"})),
    );
    let a = Process::start("a", &fake, nats.address).await;
    let b = Process::start("b", &fake, nats.address).await;
    let (leader, others) = leader_of([a, b]).await;
    let posted = Instant::now();
    assert_eq!(others[0].later().await, 202);
    are_asked_for(&fake, 1).await;
    println!("asked for after {:?}", posted.elapsed());
    assert!(asked(&fake).iter().all(|asked| asked.by == leader.who));
}

/// One that is told to leave numbers alone still has calls, and is asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_not_to_decide_never_leads_and_its_calls_count() {
    let (nats, fake) = (Server::start().await, Fake::start().await);
    let labels =
        json!({"com.openfaas.scale.zero": "true", "com.openfaas.scale.zero-duration": "1s"});
    fake.deploy("f", labelled(1, labels));
    let off = Process::with("off", &fake, nats.address, &[("autoscaler", "off")]).await;
    let call = off.calls("/function/f/hold", 1);
    fake.replica.stage.holds(1).await;
    let native = Process::start("native", &fake, nats.address).await;
    leads(&native).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(asked(&fake).is_empty() && !off.leads().await);
    fake.replica.stage.let_go(1);
    soon("the answer", call.join_all()).await;
    are_asked_for(&fake, 0).await;
    assert_eq!(told(&asked(&fake)), [("native", 0)]);
}
