//! What the services' `main`s share: `--help`, `--version`, `health`, and one line where a start or a run fails.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use clap::Command;

use crate::env::{self, Settings};
use crate::health;

const HEALTH: &str = "health";
const HEALTH_ABOUT: &str =
    "Ask the service that runs here with this environment for /healthz: ends with 0 if it is well";

/// Answers `--help`, `--version` and `health` (and ends the process), or refuses unknown arguments. Only a `main` calls
/// this.
pub fn answer<S: Settings>(name: &'static str, version: &'static str, about: &'static str) {
    let asked = Command::new(name)
        .version(version)
        .about(about)
        .after_help(env::help::<S>())
        .disable_help_subcommand(true)
        .subcommand(Command::new(HEALTH).about(HEALTH_ABOUT))
        .get_matches();
    if asked.subcommand_name() == Some(HEALTH) {
        let well = health::ask::<S>(|name| std::env::var(name).ok());
        std::process::exit(i32::from(exit(name, well) != ExitCode::SUCCESS));
    }
}

/// The code to exit with; a failure is told on stderr in one line, with its causes. Only a `main` calls this.
///
/// The line is for the operator: no backtrace, also where `RUST_BACKTRACE` is set.
pub fn exit(name: &str, result: Result<(), impl Display>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
