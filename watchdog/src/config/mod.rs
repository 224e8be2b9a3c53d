//! Settings, read once at the start. Field names are the variable names.
//!
//! Tolerant on purpose: the watchdog ships in images that already exist, so an odd value takes the default (or what the
//! original made of it) and a warning in the log, where the other services would refuse to start.

mod inherited;
mod limit;
mod reader;
mod variables;

use std::ffi::OsString;
use std::path::PathBuf;

pub use inherited::Inherited;
pub use limit::Limit;
use reader::Reader;
pub use variables::{VARIABLES, Variable};

/// Settings of the watchdog. Field names are the variable names, which `--help` explains with their defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// The function process, split at single spaces.
    pub fprocess: OsString,
    /// Port of the function, on all interfaces. 0 takes a free one.
    pub port: u16,
    /// Port of `/metrics`. 0 means none.
    pub metrics_port: u16,
    /// Longest wait for a request's headers, for its body, and between two requests.
    pub read_timeout: Limit,
    /// Longest time from the end of the headers to the last byte of the answer; also the longest drain.
    pub write_timeout: Limit,
    /// Longest run of one function process.
    pub exec_timeout: Limit,
    /// Wait between SIGTERM and the closing of the port.
    pub healthcheck_interval: Limit,
    /// Most calls at once; `None` is no limit.
    pub max_inflight: Option<usize>,
    /// Whether to do without the lock file.
    pub suppress_lock: bool,
    /// Content-Type of every successful answer; empty means the request's own, or a guess.
    pub content_type: String,
    /// Whether the request is described to the function in `Http_*` variables.
    pub cgi_headers: bool,
    /// Whether stderr belongs to the answer; otherwise to the log.
    pub combine_output: bool,
    /// Whether stdin gets the request as a JSON envelope.
    pub marshal_request: bool,
    /// Whether outputs and more details are logged.
    pub write_debug: bool,
    /// Whether the headers of requests and answers are printed.
    pub debug_headers: bool,
    /// `TMPDIR`: where the lock file and large bodies are kept.
    pub temporary_directory: PathBuf,
    /// What every function process inherits.
    pub environment: Inherited,
    /// What was odd about the variables, for the log.
    pub warnings: Vec<String>,
}

/// Why the watchdog cannot start with these variables.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There is no function to run.
    // Compat: operators search for the beginning of this text.
    #[error("Provide a valid process via fprocess: the variable is unset or empty")]
    NoProcess,
    /// `mode` is no mode.
    #[error("unknown watchdog mode: {0}")]
    UnknownMode(String),
    /// `mode` is one that this build cannot run.
    #[error("watchdog mode {0} is not built in yet")]
    ModeNotBuiltIn(String),
    /// Running without the check that was asked for would leave the function open.
    #[error("jwt_auth is not built in yet")]
    JwtNotBuiltIn,
}

impl ConfigError {
    /// The exit status that the original gives.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::NoProcess | Self::UnknownMode(_) => 2,
            Self::ModeNotBuiltIn(_) | Self::JwtNotBuiltIn => 1,
        }
    }
}

impl Config {
    /// Reads the variables, usually `std::env::vars_os()`.
    ///
    /// # Errors
    /// When there is no `fprocess`, or something is asked for that this build does not have.
    pub fn read(
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let environment: Vec<_> = environment.into_iter().collect();
        let mut reader = Reader::new(&environment);
        check_mode(&mut reader)?;
        if matches!(reader.text("jwt_auth").as_str(), "true" | "1") {
            return Err(ConfigError::JwtNotBuiltIn);
        }
        let fprocess = reader.raw("fprocess").ok_or(ConfigError::NoProcess)?;
        let write_timeout = reader.limit("write_timeout");
        Ok(Self {
            fprocess,
            port: reader.port("port"),
            metrics_port: reader.port("metrics_port"),
            read_timeout: reader.limit("read_timeout"),
            write_timeout,
            exec_timeout: reader.limit("exec_timeout"),
            healthcheck_interval: reader.limit_or("healthcheck_interval", write_timeout),
            max_inflight: Some(reader.number("max_inflight")).filter(|most| *most > 0),
            suppress_lock: reader.switch("suppress_lock"),
            content_type: reader.text("content_type"),
            cgi_headers: reader.switch("cgi_headers"),
            combine_output: reader.switch("combine_output"),
            marshal_request: reader.switch("marshal_request"),
            write_debug: reader.switch("write_debug"),
            debug_headers: reader.switch("debug_headers"),
            temporary_directory: reader.raw("TMPDIR").unwrap_or("/tmp".into()).into(),
            warnings: reader.into_warnings(),
            environment: Inherited::from(environment),
        })
    }
}

/// An unset mode means what `watchdog_default_mode` says.
fn check_mode(reader: &mut Reader<'_>) -> Result<(), ConfigError> {
    let mode = match reader.text("mode") {
        unset if unset.is_empty() => reader.text("watchdog_default_mode"),
        mode => mode,
    };
    match mode.as_str() {
        "classic" => Ok(()),
        "streaming" | "serializing" | "http" | "static" | "inproc" => {
            Err(ConfigError::ModeNotBuiltIn(mode))
        }
        _ => Err(ConfigError::UnknownMode(mode)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        Config::read([("fprocess".into(), "cat".into())].into_iter().chain(pairs))
    }

    #[test]
    fn unset_variables_have_the_classic_defaults() {
        let config = read(&[]).unwrap();
        assert_eq!((config.port, config.metrics_port), (8080, 8081));
        assert_eq!(config.read_timeout.to_string(), "30s");
        assert_eq!(config.write_timeout.to_string(), "30s");
        assert_eq!(config.exec_timeout.to_string(), "0s");
        assert_eq!(config.healthcheck_interval.to_string(), "30s");
        assert_eq!(config.max_inflight, None);
        assert!(config.cgi_headers && config.combine_output);
        assert!(!config.suppress_lock && !config.marshal_request && !config.write_debug);
        assert!(config.warnings.is_empty());
    }

    #[test]
    fn odd_values_take_the_default_and_a_warning() {
        for (name, value) in [
            ("read_timeout", "soon"),
            ("read_timeout", "-5"),
            ("read_timeout", "1x"),
            ("port", "abc"),
            ("port", "-1"),
            ("max_inflight", "abc"),
            ("max_inflight", "-1"),
        ] {
            let config = read(&[(name, value)]).unwrap();
            assert_eq!(config.read_timeout.to_string(), "30s");
            assert_eq!((config.port, config.max_inflight), (8080, None));
            assert_eq!(config.warnings.len(), 1, "{name}={value}");
            assert!(config.warnings[0].contains(name), "{name}={value}");
        }
    }

    // Compat: `cgi_headers=1` and `combine_output=True` switch the feature off.
    #[test]
    fn only_the_exact_word_true_is_true() {
        let config = read(&[("cgi_headers", "1"), ("combine_output", "True")]).unwrap();
        assert!(!config.cgi_headers && !config.combine_output);
        assert_eq!(config.warnings.len(), 2);
        let config = read(&[("cgi_headers", ""), ("write_debug", "true")]).unwrap();
        assert!(config.cgi_headers && config.write_debug);
    }

    #[test]
    fn the_health_check_interval_follows_the_write_timeout() {
        let config = read(&[("write_timeout", "1m30s")]).unwrap();
        assert_eq!(config.healthcheck_interval.to_string(), "1m30s");
        let config = read(&[("write_timeout", "7"), ("healthcheck_interval", "500ms")]).unwrap();
        assert_eq!(config.healthcheck_interval.to_string(), "500ms");
    }

    #[test]
    fn modes_are_told_apart() {
        assert!(read(&[("mode", "classic")]).is_ok());
        assert!(read(&[("mode", "")]).is_ok());
        let error = read(&[("mode", "http")]).unwrap_err();
        assert_eq!(error, ConfigError::ModeNotBuiltIn("http".into()));
        let error = read(&[("watchdog_default_mode", "streaming")]).unwrap_err();
        assert_eq!(error.exit_status(), 1);
        assert_eq!(read(&[("mode", "htttp")]).unwrap_err().exit_status(), 2);
        assert!(read(&[("mode", "classic"), ("watchdog_default_mode", "http")]).is_ok());
    }

    #[test]
    fn functions_do_not_see_our_own_switch() {
        let config = read(&[("metrics_port", "0"), ("port", "9")]).unwrap();
        assert!(config.environment.get("metrics_port").is_none());
        assert!(config.environment.get("port").is_some());
    }
}
