//! One gateway decides, for all of them, whichever is called, asked or told.

use std::time::{Duration, Instant};

use super::gateways::{Process, are_asked_for, asked, leader_of, leads, one_each, told};
use super::server::Server;
use crate::support::{Fake, soon, until};

/// The show of two gateways on one NATS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_killed_is_followed_by_another_and_their_decisions_never_conflict() {
    let (nats, fake) = (Server::start().await, Fake::start().await);
    fake.deploy("f", one_each(1, "3s"));
    let a = Process::start("a", &fake, nats.address).await;
    let b = Process::start("b", &fake, nats.address).await;
    let (mut leader, mut others) = leader_of([a, b]).await;
    let other = others.remove(0);
    // Half of the calls at each: only together they need four.
    let _lost = leader.lost_calls("/function/f/hold", 2);
    let kept = other.calls("/function/f/hold", 2);
    are_asked_for(&fake, 4).await;
    let until_death = asked(&fake).len();
    leader.kill().await;
    let killed = Instant::now();
    let more = other.calls("/function/f/hold", 4);
    are_asked_for(&fake, 6).await;
    let took = killed.elapsed();
    let all = asked(&fake);
    println!(
        "{took:?} from the death of {} to a decision of {}",
        leader.who, other.who
    );
    println!("{:?}", told(&all));
    assert!(took < Duration::from_secs(15), "{took:?}");
    let (before, after) = all.split_at(until_death);
    assert!(before.iter().all(|asked| asked.by == leader.who), "{all:?}");
    assert!(after.iter().all(|asked| asked.by == other.who), "{all:?}");
    // Nothing was taken away on the way, though the new one has seen little of the load.
    assert!(all.is_sorted_by_key(|asked| asked.replicas), "{all:?}");
    fake.replica.stage.let_go(8);
    for answer in soon("the answers", async {
        [kept.join_all().await, more.join_all().await].concat()
    })
    .await
    {
        assert_eq!(answer.status, 200);
    }
    are_asked_for(&fake, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stops_hands_over_at_once() {
    let (nats, fake) = (Server::start().await, Fake::start().await);
    fake.deploy("f", one_each(1, "3s"));
    let a = Process::start("a", &fake, nats.address).await;
    let b = Process::start("b", &fake, nats.address).await;
    let (mut leader, others) = leader_of([a, b]).await;
    let (ended, took) = tokio::join!(leader.stop(), leads(&others[0]));
    println!("{took:?} from SIGTERM to another leader");
    assert_eq!(ended, Some(0));
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_alerts_and_conditions_are_the_same_at_every_gateway() {
    let (nats, fake) = (Server::start().await, Fake::start().await);
    fake.deploy("f", one_each(1, "3s"));
    let a = Process::start("a", &fake, nats.address).await;
    let b = Process::start("b", &fake, nats.address).await;
    let (leader, mut others) = leader_of([a, b]).await;
    let other = others.remove(0);
    until("a decision", async || {
        leader.why().await["decision"].is_object()
    })
    .await;
    until("the other to know who leads", async || {
        let (here, there) = (leader.why().await, other.why().await);
        here["leader"].is_string()
            && here["leader"] == there["gateway"]
            && there["decision"].is_object()
    })
    .await;

    // An alert is a floor: a step of a fifth of nine. Told again to the other one it is no further step.
    assert_eq!(other.alert("firing").await, 200);
    are_asked_for(&fake, 3).await;
    assert_eq!(leader.alert("firing").await, 200);
    assert_eq!(other.why().await["decision"]["floor"], 3);
    assert_eq!(other.alert("resolved").await, 200);
    are_asked_for(&fake, 1).await;
    assert!(asked(&fake).iter().all(|asked| asked.by == leader.who));

    // A call at one counts at the other.
    let held = leader.calls("/function/f/hold", 1);
    fake.replica.stage.holds(1).await;
    assert_eq!(other.scale(0, Some(0)).await, 412);
    fake.replica.stage.let_go(1);
    soon("the answer", held.join_all()).await;
    assert_eq!(other.scale(0, Some(2)).await, 412);
    let ended = Instant::now();
    until("the function to be idle", async || {
        other.scale(0, Some(2)).await == 202
    })
    .await;
    assert!(
        ended.elapsed() > Duration::from_millis(1900),
        "{:?}",
        ended.elapsed()
    );
    assert_eq!(told(&asked(&fake)).last(), Some(&(other.who, 0)));
}
