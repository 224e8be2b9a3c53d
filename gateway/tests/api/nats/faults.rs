//! Gateways that die, stand still, are cut off, or have no NATS at all.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use super::gateways::{Process, are_asked_for, asked, labelled, leader_of, leads, one_each, told};
use super::proxy::Proxy;
use super::server::Server;
use crate::support::{Deployed, Fake, Scale, soon, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_leader_functions_wake_and_within_twelve_seconds_there_is_one() {
    let (nats, fake) = (Server::start().await, Fake::start().await);
    fake.on_scale(Scale::Cold);
    fake.deploy("f", Deployed::with(0));
    let a = Process::start("a", &fake, nats.address).await;
    let b = Process::start("b", &fake, nats.address).await;
    let (mut leader, others) = leader_of([a, b]).await;
    let other = &others[0];
    leader.kill().await;
    let killed = Instant::now();
    assert_eq!(other.get("/function/f").await.status, 200);
    let woken = killed.elapsed();
    assert!(!other.leads().await);
    assert_eq!(told(&asked(&fake)), [(other.who, 1)]);
    leads(other).await;
    let took = killed.elapsed();
    println!("woken after {woken:?}, another leader after {took:?}");
    assert!(woken < Duration::from_secs(3), "{woken:?}");
    assert!(took < Duration::from_secs(13), "{took:?}");
}

/// What is taken away and put to sleep as soon as somebody decides stays as long as NATS is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_nats_each_gateway_gives_what_its_own_calls_need_and_takes_nothing_away() {
    const AWAY: Duration = Duration::from_secs(14);
    let (mut nats, fake) = (Server::start().await, Fake::start().await);
    fake.deploy("f", one_each(1, "1s"));
    let a = Process::start("a", &fake, nats.address).await;
    let b = Process::start("b", &fake, nats.address).await;
    let (leader, others) = leader_of([a, b]).await;
    let other = &others[0];
    let calls = other.calls("/function/f/hold", 3);
    are_asked_for(&fake, 3).await;
    nats.kill();
    let killed = Instant::now();
    fake.replica.stage.let_go(3);
    soon("the answers", calls.join_all()).await;
    let zero = json!({"com.openfaas.scale.zero": "true", "com.openfaas.scale.zero-duration": "1s"});
    fake.deploy("g", labelled(1, zero));
    tokio::time::sleep(AWAY.saturating_sub(killed.elapsed())).await;
    assert!(!leader.leads().await && !other.leads().await);
    assert_eq!(asked(&fake).last().unwrap().replicas, 3);
    assert!(fake.seen("POST /system/scale-function/g").is_empty());
    let calls = leader.calls("/function/f/hold", 5);
    are_asked_for(&fake, 5).await;
    fake.replica.stage.let_go(5);
    soon("the answers", calls.join_all()).await;
    assert_eq!(told(&asked(&fake)).last(), Some(&(leader.who, 5)));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(asked(&fake).last().unwrap().replicas, 5);

    nats.begin().await;
    are_asked_for(&fake, 1).await;
    until("g to sleep", async || {
        !fake.seen("POST /system/scale-function/g").is_empty()
    })
    .await;
    println!("{:?}", told(&asked(&fake)));
}

/// A leader whose way to NATS is cut: it has stopped deciding before the other one begins, and follows when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_has_stopped_before_another_begins() {
    let parted = Parted::by(Proxy::close).await;
    parted.way.open();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!parted.cut.leads().await && parted.other.leads().await);
    parted.decided_one_after_the_other();
}

/// Its connection looks well, and nothing that it says arrives any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_nobody_hears_has_stopped_before_another_begins() {
    let parted = Parted::by(|way| way.swallow("openfaas.scale.stats")).await;
    parted.decided_one_after_the_other();
}

/// A leader that was cut off, and the other one, which leads since.
struct Parted {
    _nats: Server,
    fake: Fake,
    way: Proxy,
    cut: Process,
    other: Process,
    at: Instant,
}

impl Parted {
    /// Checks on the way that never both lead.
    async fn by(part: impl FnOnce(&Proxy)) -> Self {
        let (nats, fake) = (Server::start().await, Fake::start().await);
        fake.deploy("f", one_each(1, "5m"));
        let way = Proxy::before(nats.address).await;
        let cut = Process::start("cut", &fake, way.address).await;
        leads(&cut).await;
        let other = Process::start("other", &fake, nats.address).await;
        let calls = other.calls("/function/f/hold", 3);
        are_asked_for(&fake, 3).await;
        part(&way);
        let at = Instant::now();
        let (mut stopped, mut began) = (None, None);
        until("another leader", async || {
            if stopped.is_none() && !cut.leads().await {
                stopped = Some(at.elapsed());
            }
            if other.leads().await {
                began = Some(at.elapsed());
            }
            assert!(began.is_none() || stopped.is_some(), "both lead");
            began.is_some()
        })
        .await;
        println!("cut off, stopped after {stopped:?}, another began after {began:?}");
        let more = other.calls("/function/f/hold", 2);
        are_asked_for(&fake, 5).await;
        fake.replica.stage.let_go(5);
        soon("the answers", async {
            (calls.join_all().await, more.join_all().await)
        })
        .await;
        Self {
            _nats: nats,
            fake,
            way,
            cut,
            other,
            at,
        }
    }

    fn decided_one_after_the_other(&self) {
        let all = asked(&self.fake);
        println!("{:?}", told(&all));
        let (before, after): (Vec<_>, Vec<_>) = all.iter().partition(|asked| asked.at < self.at);
        assert!(before.iter().all(|asked| asked.by == "cut"), "{all:?}");
        assert!(after.iter().all(|asked| asked.by == "other"), "{all:?}");
    }
}

/// Whoever is at the same NATS can say anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_that_make_no_sense_are_passed_over() {
    let (nats, fake) = (Server::start().await, Fake::start().await);
    fake.deploy("f", one_each(1, "1s"));
    let gateway = Process::start("a", &fake, nats.address).await;
    leads(&gateway).await;
    let id = gateway.why().await["gateway"].as_str().unwrap().to_owned();
    let speaker = async_nats::connect(nats.at()).await.unwrap();
    let forged = r#"{"functions": {"f.openfaas-fn": {"calls": -1}, "nobody": {"calls": 1}}}"#;
    for kind in [
        "stats", "bye", "rise", "alert", "fall", "why", "raise", "moon",
    ] {
        for (to, text) in [
            (id.as_str(), "garbage"),
            (id.as_str(), "{}"),
            (id.as_str(), "null"),
            ("x.y.z", "[]"),
            ("stranger", forged),
        ] {
            let subject = format!("openfaas.scale.{kind}.{to}");
            speaker.publish(subject.clone(), text.into()).await.unwrap();
            let reply = speaker.new_inbox();
            let asked = speaker.publish_with_reply(subject, reply, text.into());
            asked.await.unwrap();
        }
    }
    speaker.flush().await.unwrap();
    let calls = gateway.calls("/function/f/hold", 3);
    are_asked_for(&fake, 3).await;
    fake.replica.stage.let_go(3);
    soon("the answers", calls.join_all()).await;
    are_asked_for(&fake, 1).await;
    assert!(gateway.leads().await);
}

/// The lease is kept by three servers, of which any can be lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_a_cluster_that_is_killed_leaves_one_leader_at_most_and_soon_one() {
    let mut nats = Server::cluster();
    for server in &mut nats {
        server.begin().await;
    }
    let fake = Fake::start().await;
    fake.deploy("f", one_each(1, "5m"));
    let a = Process::at_cluster("a", &fake, nats[0].address).await;
    let b = Process::at_cluster("b", &fake, nats[0].address).await;
    let (one, others) = leader_of([a, b]).await;
    let other = &others[0];
    let keeper = nats[0]
        .look()
        .await
        .get_stream("KV_OF_leader")
        .await
        .unwrap();
    let keeper = keeper
        .cached_info()
        .cluster
        .clone()
        .unwrap()
        .leader
        .unwrap();
    let number: usize = keeper.trim_start_matches('n').parse().unwrap();
    nats[number - 1].kill();
    let killed = Instant::now();
    let calls = other.calls("/function/f/hold", 3);
    are_asked_for(&fake, 3).await;
    println!(
        "{:?} from the death of {keeper} to a decision",
        killed.elapsed()
    );
    while killed.elapsed() < Duration::from_secs(15) {
        let (first, second) = tokio::join!(one.leads(), other.leads());
        assert!(!(first && second), "both lead");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    until("a leader", async || {
        one.leads().await || other.leads().await
    })
    .await;
    let all = asked(&fake);
    println!("{:?}", told(&all));
    assert!(all.is_sorted_by_key(|asked| asked.replicas), "{all:?}");
    fake.replica.stage.let_go(3);
    soon("the answers", calls.join_all()).await;
}

/// It does not know that its time has passed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stood_still_follows_when_it_goes_on() {
    let (nats, fake) = (Server::start().await, Fake::start().await);
    fake.deploy("f", one_each(1, "5m"));
    let a = Process::start("a", &fake, nats.address).await;
    let b = Process::start("b", &fake, nats.address).await;
    let (still, others) = leader_of([a, b]).await;
    let other = &others[0];
    still.signal(Signal::SIGSTOP);
    let took = leads(other).await;
    println!("another leads {took:?} after it stood still");
    let calls = other.calls("/function/f/hold", 4);
    are_asked_for(&fake, 4).await;
    still.signal(Signal::SIGCONT);
    // What it has seen last is one replica; what it hears next may be two calls of the four.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!still.leads().await && other.leads().await);
    let all = asked(&fake);
    assert!(all.iter().all(|asked| asked.by == other.who), "{all:?}");
    assert_eq!(all.last().unwrap().replicas, 4, "{all:?}");
    fake.replica.stage.let_go(4);
    soon("the answers", calls.join_all()).await;
}
