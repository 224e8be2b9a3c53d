//! Logs on stderr, as text or JSON. Only a `main` sets them up.

use std::fmt;
use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::env::Setting;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line, for collectors.
    Json,
}

impl Setting for LogFormat {
    const KIND: &'static str = "text or json";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("`{text}` is neither `text` nor `json`")),
        }
    }
}

/// Which log lines are written: a level, or a list of `target=level`.
#[derive(Clone, PartialEq, Eq)]
pub struct LogLevel(String);

impl fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Setting for LogLevel {
    const KIND: &'static str = "level";

    fn parse(text: &str) -> Result<Self, String> {
        // `EnvFilter` alone would take a misspelt level for a target, and be silent about everything else.
        let is_level = |level: &str| {
            let level = level.to_ascii_lowercase();
            ["off", "error", "warn", "info", "debug", "trace"].contains(&level.as_str())
        };
        let is_part = |part: &str| match part.split_once('=') {
            Some((target, level)) => !target.is_empty() && is_level(level),
            None => is_level(part),
        };
        match text.split(',').find(|part| !is_part(part.trim())) {
            Some(part) => Err(format!(
                "`{part}` is neither a level (off, error, warn, info, debug, trace) nor target=level"
            )),
            None => Ok(Self(text.to_owned())),
        }
    }
}

/// Starts logging to stderr. A second call changes nothing.
pub fn init(format: LogFormat, level: &LogLevel) {
    let filter = EnvFilter::try_new(&level.0).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let _ = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_a_mistake_and_not_a_silence() {
        for good in ["info", "WARN", "info,faas_gateway=debug", "off"] {
            assert!(LogLevel::parse(good).is_ok(), "{good}");
        }
        for bad in ["trcae", "bogus,=x", "faas_gateway=loud", "=info", "info,"] {
            assert!(LogLevel::parse(bad).is_err(), "{bad}");
        }
    }
}
