//! The gateway: read the environment, bind, serve until told to stop.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use anyhow::Context;
use faas_gateway::{Addresses, Config, Gateway};
use faas_http::{cli, shutdown, telemetry};

const ABOUT: &str = "The public door of an OpenFaaS-compatible function platform.";

fn main() -> ExitCode {
    cli::exit("gateway", serve())
}

#[tokio::main]
async fn serve() -> anyhow::Result<()> {
    cli::answer::<Config>("gateway", env!("CARGO_PKG_VERSION"), ABOUT);
    let config = Config::from_env().context("reading the environment")?;
    telemetry::init(config.log_format, &config.log_level);
    tracing::info!(?config, version = env!("CARGO_PKG_VERSION"), "starting");

    let on = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let addresses = Addresses {
        public: on(config.port),
        metrics: on(config.metrics_port),
    };
    let gateway = Gateway::bind(config, addresses).await?;
    tracing::info!(addresses = ?gateway.addresses(), "listening");

    gateway.run(shutdown::signal()).await?;
    tracing::info!("stopped");
    Ok(())
}
