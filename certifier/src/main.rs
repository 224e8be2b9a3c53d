//! The certifier: read the command line, run, report.

mod cli;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use certifier::{Line, Report, rules, run_until};
use cli::{Arguments, Format};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.list {
        list()?;
        return Ok(ExitCode::SUCCESS);
    }
    let format = arguments.report;
    let report = run_until(
        arguments.options()?,
        |line| show(line, format),
        interrupted()?,
    )
    .await;
    print(&report, format)?;
    Ok(match report.success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn list() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for rule in rules() {
        writeln!(
            out,
            "{}\n    {}\n    From: {}.",
            rule.id, rule.says, rule.source
        )?;
    }
    Ok(())
}

/// A machine reads standard output, so the progress is for standard error then.
fn show(line: &Line, format: Format) {
    // Nobody is left to tell when the terminal has gone; the clean-up must still happen.
    let _ = match format {
        Format::Text => writeln!(std::io::stdout(), "{line}"),
        Format::Json => writeln!(std::io::stderr(), "{line}"),
    };
}

fn print(report: &Report, format: Format) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Text => write!(out, "{report}")?,
        Format::Json => writeln!(out, "{:#}", report.to_json())?,
    }
    Ok(())
}

/// Completes at the first Ctrl-C or SIGTERM.
fn interrupted() -> anyhow::Result<impl Future<Output = ()> + Send> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
