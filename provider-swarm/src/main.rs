//! provider-swarm: read the environment, bind, serve until told to stop.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use anyhow::Context;
use faas_http::{cli, shutdown, telemetry};
use faas_provider_swarm::{Config, SwarmService};

const ABOUT: &str = "Runs functions as services of a Docker Swarm, behind the provider API.";

fn main() -> ExitCode {
    cli::exit("provider-swarm", serve())
}

#[tokio::main]
async fn serve() -> anyhow::Result<()> {
    cli::answer::<Config>("provider-swarm", env!("CARGO_PKG_VERSION"), ABOUT);
    let config = Config::from_env().context("reading the environment")?;
    telemetry::init(config.log_format, &config.log_level);
    tracing::info!(?config, version = env!("CARGO_PKG_VERSION"), "starting");

    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, config.port));
    let service = SwarmService::bind(config, address).await?;
    tracing::info!(address = %service.local_addr(), "listening");

    service.run(shutdown::signal()).await?;
    tracing::info!("stopped");
    Ok(())
}
