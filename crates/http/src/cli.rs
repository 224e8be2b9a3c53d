//! `--help` and `--version` for the services, whose settings are all environment variables.

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
