//! Flags, in Go's syntax: `-name` and `--name` alike, `-name=value`; the first word that is no flag ends them.

use std::ffi::OsString;
use std::time::Duration;

use faas_http::duration;

use crate::config::VARIABLES;

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) help: bool,
    pub(crate) version: bool,
    pub(crate) run_healthcheck: bool,
    /// Serve on the listener that stands at descriptor 0.
    pub(crate) inherit_listener: bool,
    /// Overrides the variable `metrics_port`.
    pub(crate) metrics_port: Option<u16>,
    /// Overrides the variable `healthcheck_interval`.
    pub(crate) healthcheck_interval: Option<Duration>,
}

impl Flags {
    /// Reads the arguments after the program's name.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut flags = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let argument = argument.to_string_lossy().into_owned();
            let Some(flag) = argument.strip_prefix('-').filter(|flag| !flag.is_empty()) else {
                break;
            };
            let flag = flag.strip_prefix('-').unwrap_or(flag);
            if flag.is_empty() {
                break;
            }
            let (name, value) = flag
                .split_once('=')
                .map_or((flag, None), |(name, value)| (name, Some(value)));
            match name {
                "h" | "help" => {
                    flags.help = true;
                    break;
                }
                "version" => flags.version = truth(name, value)?,
                "run-healthcheck" => flags.run_healthcheck = truth(name, value)?,
                "inherit-listener" => flags.inherit_listener = truth(name, value)?,
                "healthcheck-interval" => {
                    let next = || arguments.next().map(|next| next.to_string_lossy().into());
                    let value = value.map(str::to_owned).or_else(next).unwrap_or_default();
                    let interval = duration::parse(&value).map_err(|error| error.to_string())?;
                    flags.healthcheck_interval = Some(interval);
                }
                "metrics-port" => {
                    let next = || arguments.next().map(|next| next.to_string_lossy().into());
                    let value = value.map(str::to_owned).or_else(next);
                    flags.metrics_port = Some(port(name, value)?);
                }
                _ => return Err(format!("flag provided but not defined: -{name}")),
            }
        }
        Ok(flags)
    }
}

fn truth(name: &str, value: Option<&str>) -> Result<bool, String> {
    match value {
        None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(other) => Err(format!("invalid boolean value \"{other}\" for -{name}")),
    }
}

fn port(name: &str, value: Option<String>) -> Result<u16, String> {
    let value = value.ok_or_else(|| format!("flag needs an argument: -{name}"))?;
    value
        .parse()
        .map_err(|_| format!("invalid value \"{value}\" for flag -{name}"))
}

/// What `-help` prints.
pub(crate) fn usage() -> String {
    let mut text = String::from(
        "Usage of fwatchdog:
  -help               print this
  -version            print the version
  -run-healthcheck    end with 0 if the lock file exists, else with 1
  -inherit-listener   serve on the listener at descriptor 0 instead of taking `port`
  -metrics-port N     port of /metrics, overriding `metrics_port`; 0: none
  -healthcheck-interval D
                      overrides `healthcheck_interval`; 0: SIGTERM closes the port at once

Variables (durations are seconds, or Go's form: 1m30s):
",
    );
    for variable in VARIABLES {
        let default = match variable.default {
            "" => String::new(),
            default => format!(" (default {default})"),
        };
        text += &format!("  {:<22} {}{default}\n", variable.name, variable.meaning);
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(words: &str) -> Result<Flags, String> {
        Flags::parse(words.split_whitespace().map(OsString::from))
    }

    #[test]
    fn flags_are_read_as_go_reads_them() {
        assert!(parse("-version").unwrap().version);
        assert!(parse("--version=t").unwrap().version);
        assert!(!parse("--version=false").unwrap().version);
        assert!(parse("-h").unwrap().help);
        assert!(!parse("word -version").unwrap().version);
        assert!(!parse("-- -version").unwrap().version);
        assert_eq!(parse("-metrics-port 0").unwrap().metrics_port, Some(0));
        assert_eq!(parse("--metrics-port=9").unwrap().metrics_port, Some(9));
        let interval = parse("-healthcheck-interval 0")
            .unwrap()
            .healthcheck_interval;
        assert_eq!(interval, Some(Duration::ZERO));
        for wrong in [
            "-bogus",
            "-healthcheck-interval soon",
            "-version=maybe",
            "-metrics-port",
            "-metrics-port=x",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_help_names_every_variable() {
        for variable in VARIABLES {
            assert!(usage().contains(variable.name));
        }
    }
}
