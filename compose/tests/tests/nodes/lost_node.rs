//! A node is lost, with replicas on it and calls in flight.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::lasting;
use crate::load::Load;

const LOST: usize = 3;
/// Silence is noticed within 5 s; the rest is for a busy machine.
const NOTICED: Duration = Duration::from_secs(8);
const REPLICAS: u64 = 6;

/// A call that has begun to be answered.
struct Begun {
    /// Which replica answers.
    host: String,
    answer: reqwest::Response,
}

impl Begun {
    /// Calls a function that first says who it is, and 12 s later that it is done.
    async fn call(cluster: &Cluster) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.post(cluster.url("/function/long")).send();
        let mut answer = request.await.unwrap();
        let first = answer.chunk().await.unwrap().unwrap();
        let host = String::from_utf8_lossy(&first).trim().to_owned();
        Self { host, answer }
    }

    /// Who answered, how it ended, and how long after `lost`.
    async fn ended(self, lost: Instant) -> (String, Result<String, reqwest::Error>, Duration) {
        let rest = self.answer.text().await;
        (self.host, rest, lost.elapsed())
    }
}

/// Calls until some are answered there, and some elsewhere.
async fn begin(cluster: &Cluster, there: &HashSet<String>) -> Vec<Begun> {
    let mut begun: Vec<Begun> = Vec::new();
    loop {
        let on_lost = begun.iter().filter(|call| there.contains(&call.host));
        let on_lost = on_lost.count();
        if on_lost >= 3 && begun.len() - on_lost >= 3 {
            return begun;
        }
        assert!(begun.len() < 60, "calls do not spread over the nodes");
        begun.push(Begun::call(cluster).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[allow(
    clippy::print_stdout,
    reason = "the numbers are what the test is for, too"
)]
async fn only_what_was_in_flight_on_a_lost_node_is_lost() {
    let cluster = Cluster::up(2).await;
    cluster.have("quick", "cat", REPLICAS).await;
    let process = "sh -c hostname;sleep${IFS}12;echo${IFS}done";
    cluster.have("long", process, REPLICAS).await;

    let load = Load::start(&cluster, "quick");
    tokio::time::sleep(lasting(3, 30)).await;
    let there = cluster.replicas("long", LOST);
    let begun = begin(&cluster, &there).await;
    cluster.lose(LOST);
    let lost = Instant::now();

    let ends = begun.into_iter().map(|call| tokio::spawn(call.ended(lost)));
    let mut broken = Vec::new();
    for end in ends.collect::<Vec<_>>() {
        let (host, rest, after) = end.await.unwrap();
        match there.contains(&host) {
            true => {
                assert!(rest.is_err(), "{host} answered from a lost node: {rest:?}");
                broken.push(after);
            }
            // What is not there is not concerned.
            false => assert_eq!(rest.unwrap(), "done\n", "of {host}"),
        }
    }
    println!("in flight on the lost node, they ended after {broken:.1?}");
    assert!(broken.iter().all(|after| *after < NOTICED), "{broken:?}");

    // Swarm replaces them elsewhere, then the node comes back.
    tokio::time::sleep(lasting(5, 60)).await;
    cluster.available("quick", REPLICAS).await;
    println!("all replicas again after {:.1?}", lost.elapsed());
    cluster.find(LOST);
    cluster.whole().await;
    tokio::time::sleep(lasting(3, 30)).await;
    load.account("a node lost", lost).await;
    for name in ["quick", "long"] {
        cluster.available(name, REPLICAS).await;
        cluster.delete(name).await;
    }
}
