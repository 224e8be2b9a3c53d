//! Managers are lost: the leader, and then most of them.

use std::time::{Duration, Instant};

use faas_compose_tests::{Answer, until};
use reqwest::{Method, StatusCode};

use crate::cluster::{Cluster, PATIENCE};
use crate::lasting;
use crate::load::Load;

const LEADER: usize = 1;
const OTHER: usize = 3;
const REPLICAS: u64 = 6;

/// Whether a change was refused as it should be: for now, and in words.
fn is_refused(answer: &Answer) -> bool {
    answer.0 == StatusCode::SERVICE_UNAVAILABLE && answer.1.starts_with("the Docker engine ")
}

/// Changes the function until that works; says how long it took and how often it did not. Meanwhile nobody takes the
/// function for gone.
async fn change(cluster: &Cluster) -> (Duration, usize) {
    let since = Instant::now();
    let mut refused = 0;
    let mut replicas = REPLICAS;
    let change = async || {
        replicas = REPLICAS * 2 + 1 - replicas;
        let said = cluster.scale("quick", replicas).await;
        if said.0 != StatusCode::ACCEPTED {
            assert!(is_refused(&said), "{said:?}");
            refused += 1;
            let status = cluster.ask(Method::GET, "/system/function/quick", "").await;
            assert!(
                status.0 == StatusCode::OK || is_refused(&status),
                "{status:?}"
            );
        }
        said.0
    };
    let accepted = |code: &StatusCode| *code == StatusCode::ACCEPTED;
    until("a change", PATIENCE, change, accepted).await;
    (since.elapsed(), refused)
}

#[tokio::test(flavor = "multi_thread")]
#[allow(
    clippy::print_stdout,
    reason = "the numbers are what the test is for, too"
)]
async fn functions_are_called_while_managers_are_lost_and_changes_wait() {
    let cluster = Cluster::up(3).await;
    cluster.have("quick", "cat", REPLICAS).await;

    let load = Load::start(&cluster, "quick");
    tokio::time::sleep(lasting(2, 30)).await;
    cluster.lose(LEADER);
    let lost = Instant::now();
    let (after, refused) = change(&cluster).await;
    println!("leader lost: changes again after {after:.1?}, {refused} refused before");
    tokio::time::sleep(lasting(8, 60)).await;
    load.account("leader lost", lost).await;
    cluster.find(LEADER);
    cluster.whole().await;
    cluster.scale("quick", REPLICAS).await;
    cluster.available("quick", REPLICAS).await;

    let load = Load::start(&cluster, "quick");
    tokio::time::sleep(lasting(2, 30)).await;
    for node in [LEADER, OTHER] {
        cluster.lose(node);
    }
    let lost = Instant::now();
    // Nobody leads a minority, whoever led before.
    let refused = async || cluster.scale("quick", REPLICAS + 1).await;
    let said = until("a refusal", PATIENCE, refused, |said| {
        said.0 != StatusCode::ACCEPTED
    })
    .await;
    assert!(is_refused(&said), "{said:?}");
    let leaderless = async || cluster.scale("quick", REPLICAS + 1).await;
    let said = until("its reason", PATIENCE, leaderless, |said| {
        assert!(is_refused(said), "{said:?}");
        said.1.contains("does not have a leader")
    })
    .await;
    println!("most managers lost: {}", said.1.trim());
    tokio::time::sleep(lasting(8, 60)).await;
    for node in [LEADER, OTHER] {
        cluster.find(node);
    }
    let (after, refused) = change(&cluster).await;
    println!("most managers back: changes again after {after:.1?}, {refused} refused before");
    cluster.whole().await;
    load.account("most managers lost", lost).await;
    cluster.delete("quick").await;
}
