//! What the services' `main`s share: `--help`, `--version`, `health`, and one line where a start or a run fails.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::env::{self, Settings};
use crate::health;

const HEALTH: &str = "health";
const HEALTH_ABOUT: &str =
    "Ask the service that runs here with this environment for /healthz: ends with 0 if it is well";

/// A flag of a service.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Without dashes.
    pub name: &'static str,
    /// What it does, for `--help`.
    pub about: &'static str,
}

/// Answers `--help`, `--version` and `health` (and ends the process), or refuses unknown arguments. Only a `main` calls
/// this.
pub fn answer<S: Settings>(name: &'static str, version: &'static str, about: &'static str) {
    let service = service::<S>(name, version, about);
    answer_health::<S>(name, &service.get_matches());
}

/// The same for a service with a flag: whether it is set. It may be written with one dash, as in Go.
pub fn answer_with<S: Settings>(
    name: &'static str,
    version: &'static str,
    about: &'static str,
    flag: Flag,
) -> bool {
    let set = Arg::new(flag.name)
        .long(flag.name)
        .help(flag.about)
        .action(ArgAction::SetTrue);
    let with_one_dash = format!("-{}", flag.name);
    let words = std::env::args_os().map(|word| match word == with_one_dash.as_str() {
        true => format!("-{with_one_dash}").into(),
        false => word,
    });
    let asked = service::<S>(name, version, about)
        .arg(set)
        .get_matches_from(words);
    answer_health::<S>(name, &asked);
    asked.get_flag(flag.name)
}

fn service<S: Settings>(name: &'static str, version: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .version(version)
        .about(about)
        .after_help(env::help::<S>())
        .disable_help_subcommand(true)
        .subcommand(Command::new(HEALTH).about(HEALTH_ABOUT))
}

fn answer_health<S: Settings>(name: &str, asked: &ArgMatches) {
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
