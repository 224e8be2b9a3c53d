//! The whole stack on a laptop: be a sandbox or a watchdog where started as one; else read the environment, bind, serve.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use faas_http::{cli, shutdown, telemetry};
use faas_local::{Config, Stack, banner, reenter};

const ABOUT: &str = "An OpenFaaS-compatible function platform in one process, on loopback.";

fn main() -> ExitCode {
    // Before any runtime exists: these roles are single-threaded.
    if let Some(code) = reenter() {
        return code;
    }
    cli::exit("faas-local", serve())
}

#[tokio::main]
async fn serve() -> anyhow::Result<()> {
    cli::answer::<Config>("faas-local", env!("CARGO_PKG_VERSION"), ABOUT);
    let config = Config::from_env().context("reading the environment")?;
    telemetry::init(config.log_format, &config.log_level);

    let stack = Stack::start(&config, None).await?;
    // Whoever started it may not read it.
    let _ = std::io::stdout().write_all(banner(&stack.addresses()).as_bytes());

    stack.run(shutdown::signal()).await?;
    tracing::info!("stopped");
    Ok(())
}
