//! The certifier: read the command line, run, report.

mod access;
mod aliases;
mod cli;
mod files;
mod functions;
mod logins;
mod measure;
mod outputs;
mod progress;
mod signals;

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tokio::net::TcpListener;

use aliases::Surroundings;
use certifier::{Report, rules, run_watched};
use cli::{Arguments, Command, Format};
use measure::BenchArguments;
use outputs::Output;
use progress::{Progress, Stream};

/// Something failed.
const FAILED: u8 = 1;

/// There was nothing to check, or the question makes no sense.
const COULD_NOT_RUN: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse_from(aliases::translate(std::env::args_os()));
    let ended = match arguments.command {
        Some(Command::Bench(arguments)) => bench(*arguments).await,
        Some(Command::Probe { listen }) => probe(listen).await,
        None => certify(arguments).await,
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "certifier: {error:#}");
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}

async fn probe(address: SocketAddr) -> anyhow::Result<ExitCode> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("listening on {address}"))?;
    // A function that is told to stop stops; what is in flight is the watchdog's business.
    let stop = signals::first()?;
    tokio::select! {
        ended = certifier::probe::serve(listener) => ended?,
        () = stop => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn bench(arguments: BenchArguments) -> anyhow::Result<ExitCode> {
    Ok(match measure::bench(arguments).await? {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FAILED),
    })
}

async fn certify(arguments: Arguments) -> anyhow::Result<ExitCode> {
    if arguments.list {
        list(&arguments)?;
        return Ok(ExitCode::SUCCESS);
    }
    let outputs = arguments.outputs();
    let to_output =
        |output: &Output<Format>| output.file.is_none() && output.format != Format::Text;
    let stream = match outputs.iter().any(to_output) {
        true => Stream::Error,
        false => Stream::Output,
    };
    let mut progress = Progress::new(stream);
    let options = arguments.options(Surroundings::read())?;
    let stop = signals::first()?;
    let report = run_watched(options, |event| progress.see(event), stop).await;
    for output in outputs {
        write(&report, &output)?;
    }
    Ok(match (report.could_run(), report.success()) {
        (false, _) => ExitCode::from(COULD_NOT_RUN),
        (true, false) => ExitCode::from(FAILED),
        (true, true) => ExitCode::SUCCESS,
    })
}

/// The checks that these arguments select.
fn list(arguments: &Arguments) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for rule in rules().into_iter().filter(|rule| arguments.selects(rule)) {
        let (id, group, level, says) = (rule.id, rule.group, rule.level, rule.says);
        writeln!(out, "{id}\n    {says}\n    From: {}.", rule.source)?;
        write!(out, "    Group {group}, level {level}")?;
        if !rule.case.is_empty() {
            write!(out, ", case {}", rule.case)?;
        }
        for need in rule.needs {
            write!(out, ", needs {need}")?;
        }
        let marks = [(rule.long, "long"), (rule.alone, "alone")];
        for (_, mark) in marks.iter().filter(|(there, _)| *there) {
            write!(out, ", {mark}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn write(report: &Report, output: &Output<Format>) -> anyhow::Result<()> {
    let text = match output.format {
        Format::Text => report.to_string(),
        Format::Json => format!("{:#}\n", report.to_json()),
        Format::Junit => report.to_junit(),
        Format::Tap => report.to_tap(),
    };
    output.write(&text)
}
