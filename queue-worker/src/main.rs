//! The queue-worker: read the environment, connect, work until told to stop.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use anyhow::Context;
use faas_http::{cli, shutdown, telemetry};
use faas_queue_worker::{Config, Service};

const ABOUT: &str =
    "Takes asynchronous calls off the queue on NATS and makes them through the gateway.";

fn main() -> ExitCode {
    cli::exit("queue-worker", serve())
}

#[tokio::main]
async fn serve() -> anyhow::Result<()> {
    cli::answer::<Config>("queue-worker", env!("CARGO_PKG_VERSION"), ABOUT);
    let config = Config::from_env().context("reading the environment")?;
    telemetry::init(config.log_format, &config.log_level);
    tracing::info!(?config, version = env!("CARGO_PKG_VERSION"), "starting");

    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, config.metrics_port));
    let service = Service::bind(config, address).await?;
    tracing::info!(address = %service.local_addr(), "listening");

    service.run(shutdown::signal()).await?;
    tracing::info!("stopped");
    Ok(())
}
