//! Engines are restarted, as an upgrade does, or die and are started again.

use std::time::Instant;

use faas_compose_tests::until;
use reqwest::{Method, StatusCode};

use crate::cluster::{Cluster, PATIENCE};
use crate::lasting;
use crate::load::Load;

const OTHER: usize = 3;
const REPLICAS: u64 = 6;

#[tokio::test(flavor = "multi_thread")]
async fn functions_are_called_while_the_engine_of_another_node_is_restarted() {
    let cluster = Cluster::up(2).await;
    cluster.have("quick", "cat", REPLICAS).await;
    for (signal, what) in [("TERM", "engine restarted"), ("KILL", "engine killed")] {
        let load = Load::start(&cluster, "quick");
        tokio::time::sleep(lasting(2, 30)).await;
        let stopped = Instant::now();
        cluster.restart(OTHER, signal);
        cluster.whole().await;
        cluster.available("quick", REPLICAS).await;
        tokio::time::sleep(lasting(8, 60)).await;
        load.account(what, stopped).await;
    }
    cluster.delete("quick").await;
}

#[tokio::test(flavor = "multi_thread")]
#[allow(
    clippy::print_stdout,
    reason = "the numbers are what the test is for, too"
)]
async fn gateway_and_provider_come_back_with_their_own_engine() {
    let cluster = Cluster::of_one().await;
    cluster.have("quick", "cat", REPLICAS).await;
    for (signal, replicas) in [("TERM", REPLICAS + 1), ("KILL", REPLICAS)] {
        let stopped = Instant::now();
        cluster.restart(cluster.home, signal);
        let called = async || cluster.ask(Method::POST, "/function/quick", "x").await;
        let answer = until("a call", PATIENCE, called, |answer| {
            answer.0 == StatusCode::OK
        })
        .await;
        println!(
            "{signal}: called again {:.1?} after its engine was told to stop",
            stopped.elapsed()
        );
        assert_eq!(answer.1, "x");
        let scaled = async || cluster.scale("quick", replicas).await.0;
        until("a change", PATIENCE, scaled, |code| {
            *code == StatusCode::ACCEPTED
        })
        .await;
        cluster.whole().await;
        cluster.available("quick", replicas).await;
    }
    cluster.delete("quick").await;
}
