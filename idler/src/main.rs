//! The idler: read the environment, look at functions until told to stop.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use anyhow::Context;
use faas_http::{cli, shutdown, telemetry};
use faas_idler::{Config, Idler, Service};

const ABOUT: &str = "Scales functions to zero that nobody has called for a while.";
const DRY_RUN: cli::Flag = cli::Flag {
    name: "dry-run",
    about: "Log what would be scaled, and scale nothing",
};

fn main() -> ExitCode {
    cli::exit("faas-idler", serve())
}

#[tokio::main]
async fn serve() -> anyhow::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let dry_run = cli::answer_with::<Config>("faas-idler", version, ABOUT, DRY_RUN);
    let mut config = Config::from_env().context("reading the environment")?;
    config.dry_run |= dry_run;
    telemetry::init(config.log_format, &config.log_level);
    tracing::info!(?config, version, "starting");

    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, config.metrics_port));
    let service = Service::bind(Idler::new(config)?, address).await?;
    tracing::info!(address = %service.local_addr(), "listening");

    service.run(shutdown::signal()).await?;
    tracing::info!("stopped");
    Ok(())
}
