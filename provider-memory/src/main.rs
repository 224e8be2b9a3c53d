//! provider-memory: be a sandbox or a watchdog where started as one; else read the environment, bind, serve.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use anyhow::Context;
use faas_http::{cli, shutdown, telemetry};
use faas_provider_memory::{Config, MemoryService, reenter};

const ABOUT: &str =
    "Runs functions as sandboxed processes on this machine, behind the provider API.";

fn main() -> ExitCode {
    // Before any runtime exists: these roles are single-threaded.
    if let Some(code) = reenter() {
        return code;
    }
    cli::exit("provider-memory", serve())
}

#[tokio::main]
async fn serve() -> anyhow::Result<()> {
    cli::answer::<Config>("provider-memory", env!("CARGO_PKG_VERSION"), ABOUT);
    let config = Config::from_env().context("reading the environment")?;
    telemetry::init(config.log_format, &config.log_level);
    tracing::info!(?config, version = env!("CARGO_PKG_VERSION"), "starting");

    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, config.port));
    let service = MemoryService::bind(config, address).await?;
    tracing::info!(address = %service.local_addr(), "listening");

    service.run(shutdown::signal()).await?;
    tracing::info!("stopped");
    Ok(())
}
