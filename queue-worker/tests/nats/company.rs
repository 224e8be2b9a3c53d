//! Many calls at once, and such as are bad company: for workers, for their function, for other functions.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::long_or;
use crate::server::Server;
use crate::stack::Stack;
use crate::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_kills_its_workers_is_not_made_a_seventh_time_and_others_go_on() {
    const DEATHS: usize = 6;
    let mut stack = Stack::start("1s").await;
    stack.functions.plays("f", Duration::from_secs(600), 200);
    let killer = stack.accepted("f", &[]).await;
    for death in 1..=DEATHS {
        until("the call to run", async || {
            stack.functions.times().get(&killer) == Some(&death)
        })
        .await;
        let other = stack.accepted("g", &[]).await;
        stack.stands(&other, "succeeded").await;
        stack.worker.as_mut().unwrap().kill();
        stack.begin_worker();
    }
    let status = stack.stands(&killer, "dead").await;
    assert_eq!(status["reason"], "redelivery_limit");
    assert_eq!(stack.functions.times()[&killer], DEATHS);
    let books = stack.settled().await;
    assert_eq!(books["succeeded"], DEATHS, "{books}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_with_room_for_a_few_calls_refuses_few_and_gets_all() {
    const CALLS: usize = 750;
    const TAKES: Duration = Duration::from_millis(100);
    const GROWS_AFTER: Duration = Duration::from_secs(10);
    let mut stack = Stack::idle(Server::start().await, "60s", &[]).await;
    stack.functions.has_room("f", TAKES, 5);
    let accepted = stack.all_accepted("f", CALLS, &[]).await;
    stack.begin_worker();
    until("the first to run", async || {
        !stack.functions.runs().is_empty()
    })
    .await;
    let began = Instant::now();
    stack.wait(GROWS_AFTER).await;
    let before = stack.functions.runs().len();
    stack.functions.has_room("f", TAKES, 50);
    stack.settled().await;
    let runs = stack.functions.runs();
    let took = runs[runs.len() - 1].at + TAKES - began;
    // Five at once, fifty a second; then fifty at once.
    let ideal = GROWS_AFTER + TAKES * u32::try_from(CALLS - 500).unwrap() / 50;
    let refused = stack.functions.refused();
    println!(
        "{before} of {CALLS} before there was more room; {refused} refused; {took:?}, with all room used {ideal:?}"
    );
    assert_eq!(stack.functions.ran_twice(&accepted), 0);
    assert_eq!(runs.len(), CALLS);
    assert!(refused < (CALLS + refused) / 10, "{refused} refused");
    assert!(took < ideal.mul_f64(1.3), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_with_many_slow_calls_does_not_hold_up_another() {
    let slow = usize::try_from(long_or(10_000, 300)).unwrap();
    let further = [("max_inflight", "10")];
    let mut stack = Stack::idle(Server::start().await, "60s", &further).await;
    stack.functions.plays("f", Duration::from_secs(1), 200);
    stack.all_accepted("f", slow, &[]).await;
    stack.begin_worker();
    until("slow calls to run", async || {
        stack.functions.runs().len() > 10
    })
    .await;
    let posted = Instant::now();
    let quick = stack.all_accepted("g", 10, &[]).await;
    until("the quick ones to run", async || {
        let times = stack.functions.times();
        quick.iter().all(|id| times.contains_key(id))
    })
    .await;
    let took = posted.elapsed();
    println!("{took:?} for the quick ones behind {slow}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    let of = |name: &str| {
        let runs = stack.functions.runs();
        runs.iter().filter(|run| run.function == name).count()
    };
    assert_eq!(of("g"), 10);
    assert!(of("f") < slow);
}

#[tokio::test]
async fn the_same_key_at_once_runs_once_and_the_same_call_id_twice() {
    let stack = Stack::start("60s").await;
    let keyed = (0..10).map(|_| stack.accepted("f", &[("idempotency-key", "k")]));
    let mut ids = join_all(keyed).await;
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let named = (0..2).map(|_| stack.accepted("g", &[("x-call-id", "c-1")]));
    let named = join_all(named).await;
    let books = stack.settled().await;
    assert_eq!(books["accepted"], 3, "{books}");
    let times = stack.functions.times();
    assert_eq!(times[&ids[0]], 1);
    assert!(named.iter().all(|id| times[id] == 1));
    // Also once it has ended.
    let again = stack.accepted("f", &[("idempotency-key", "k")]).await;
    assert_eq!(again, ids[0]);
    stack.settled().await;
    assert_eq!(stack.functions.runs().len(), 3);
}
