//! How a gateway stops.

use std::time::Duration;

use faas_gateway::Config;
use tokio::net::TcpStream;

use crate::support::{Deployed, Fake, Scale, TestGateway, Wire, config, until};

async fn refuses(address: std::net::SocketAddr) -> bool {
    TcpStream::connect(address).await.is_err()
}

#[tokio::test]
async fn calls_in_flight_are_answered_and_new_connections_refused() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let mut gateway = TestGateway::ready(fake.address).await;
    let mut caller = Wire::asking(gateway.at.public, "GET", "/function/f/hold").await;
    fake.replica.stage.holds(1).await;
    gateway.stop();
    until("new connections to be refused", async || {
        refuses(gateway.at.public).await
    })
    .await;
    assert!(gateway.is_running(), "it waits for the call");
    let ready = gateway.private("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.text.starts_with("gateway: draining\n"), "{ready:?}");
    assert_eq!(gateway.private("/metrics").await.status, 200);

    fake.replica.stage.let_go(1);
    let answer = caller.rest().await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("released"),
        "{answer}"
    );
    let metrics = gateway.at.metrics;
    gateway.stopped().await;
    assert!(refuses(metrics).await);
}

#[tokio::test]
async fn a_call_that_waits_for_a_replica_is_answered_too() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(0));
    fake.on_scale(Scale::NeverReady);
    let mut gateway = TestGateway::ready(fake.address).await;
    let mut caller = Wire::asking(gateway.at.public, "GET", "/function/f").await;
    until("the scale request", async || !fake.seen("POST").is_empty()).await;
    gateway.stop();
    until("new connections to be refused", async || {
        refuses(gateway.at.public).await
    })
    .await;
    fake.deploy("f", Deployed::with(1));
    let answer = caller.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    gateway.stopped().await;
}

#[tokio::test]
async fn a_connection_kept_alive_hears_that_the_gateway_drains() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let mut gateway = TestGateway::ready(fake.address).await;
    // A request whose head is half sent when the draining begins is answered all the same.
    let mut caller = Wire::to(gateway.at.public).await;
    caller.send("GET /healthz HTTP/1.1\r\nHost: te").await;
    let mut other = Wire::asking(gateway.at.public, "GET", "/function/f/hold").await;
    fake.replica.stage.holds(1).await;
    gateway.stop();
    until("new connections to be refused", async || {
        refuses(gateway.at.public).await
    })
    .await;
    caller.send("st\r\n\r\n").await;
    let answer = caller.rest().await;
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("draining\n"),
        "{answer}"
    );
    fake.replica.stage.let_go(1);
    other.rest().await;
    gateway.stopped().await;
}

#[tokio::test]
async fn a_call_that_never_ends_is_cut_when_write_timeout_is_over() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let config = Config {
        write_timeout: Duration::from_millis(200),
        ..config(fake.address)
    };
    let mut gateway = TestGateway::with(config).await.once_ready().await;
    let mut caller = Wire::asking(gateway.at.public, "GET", "/function/f/hold").await;
    fake.replica.stage.holds(1).await;
    gateway.stop();
    gateway.stopped().await;
    assert_eq!(caller.rest().await, "");
    fake.replica.stage.holds(0).await;
}
