//! What the services' `main`s share: `--help`, `--version`, and one line where a start or a run fails.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use clap::Command;

use crate::env::{self, Settings};

/// Answers `--help` and `--version` (and ends the process), or refuses unknown arguments. Only a `main` calls this.
pub fn answer<S: Settings>(name: &'static str, version: &'static str, about: &'static str) {
    let _ = Command::new(name)
        .version(version)
        .about(about)
        .after_help(env::help::<S>())
        .get_matches();
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
