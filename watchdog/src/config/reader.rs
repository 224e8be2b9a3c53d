//! Reading single variables, forgivingly.

use std::ffi::{OsStr, OsString};
use std::str::FromStr;

use super::variables::VARIABLES;
use super::{ConfigError, Limit, Mode};

/// The longest line where there is to be no limit.
const NO_LIMIT_BYTES: usize = 1024 * 1024;

/// The environment, and the complaints about it so far.
pub(super) struct Reader<'a> {
    environment: &'a [(OsString, OsString)],
    warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(environment: &'a [(OsString, OsString)]) -> Self {
        Self {
            environment,
            warnings: Vec::new(),
        }
    }

    pub(super) fn into_warnings(self) -> Vec<String> {
        self.warnings
    }

    /// The bytes of a variable that is set and not empty.
    pub(super) fn raw(&self, name: &str) -> Option<OsString> {
        self.present(name).filter(|value| !value.is_empty())
    }

    /// The bytes of a variable that is set, even to nothing. Where a name repeats, the last one counts.
    pub(super) fn present(&self, name: &str) -> Option<OsString> {
        debug_assert!(
            VARIABLES.iter().any(|known| known.name == name),
            "{name} is not in the table"
        );
        self.environment
            .iter()
            .rev()
            .find(|(key, _)| key == OsStr::new(name))
            .map(|(_, value)| value.clone())
    }

    /// The text of a variable, or its default.
    pub(super) fn text(&self, name: &str) -> String {
        self.raw(name).map_or_else(
            || default(name).to_owned(),
            |value| value.to_string_lossy().into_owned(),
        )
    }

    /// A switch, of which exactly `true` is true.
    pub(super) fn switch(&mut self, name: &str) -> bool {
        let value = self.text(name);
        // Compat: images set `cgi_headers=1` and have lived with it being off.
        if !matches!(value.as_str(), "true" | "false") {
            self.warn(name, &value, "false (only `true` is true)");
        }
        value == "true"
    }

    /// A switch that the other program reads as well: there `1` is true too.
    pub(super) fn switch_in(&mut self, mode: Mode, name: &str) -> bool {
        if mode.is_classic() {
            return self.switch(name);
        }
        let value = self.text(name);
        if !matches!(value.as_str(), "true" | "1" | "false" | "0") {
            self.warn(name, &value, "false (only `true` and `1` are true)");
        }
        matches!(value.as_str(), "true" | "1")
    }

    /// A switch in any of Go's spellings.
    pub(super) fn wide_switch(&mut self, name: &str) -> bool {
        let value = self.text(name);
        match value.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
            "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
            _ => {
                self.warn(name, &value, default(name));
                default(name) == "true"
            }
        }
    }

    /// A length of lines. Negative means no limit, which memory has all the same.
    pub(super) fn line_limit(&mut self, name: &str, mode: Mode) -> Result<usize, ConfigError> {
        let value = self.text(name);
        let standard = default(name).parse().unwrap_or_default();
        match value.parse::<i64>() {
            Ok(0) => self.warn(name, &value, default(name)),
            Ok(limit) => return Ok(usize::try_from(limit).unwrap_or(NO_LIMIT_BYTES)),
            // The classic watchdog never read it.
            Err(_) if mode.is_classic() => {}
            Err(_) => return Err(ConfigError::LogBufferSize(value)),
        }
        Ok(standard)
    }

    /// Bare seconds or a Go duration.
    pub(super) fn limit(&mut self, name: &str) -> Limit {
        let standard = Limit::parse(default(name)).unwrap_or(Limit::new(std::time::Duration::ZERO));
        self.limit_or(name, standard)
    }

    /// Like [`limit`](Self::limit), with a default that depends on something.
    pub(super) fn limit_or(&mut self, name: &str, standard: Limit) -> Limit {
        let Some(value) = self.raw(name) else {
            return standard;
        };
        let value = value.to_string_lossy();
        Limit::parse(&value).unwrap_or_else(|| {
            self.warn(name, &value, &standard.to_string());
            standard
        })
    }

    /// A number of at least 0.
    pub(super) fn number<N: FromStr + Default>(&mut self, name: &str) -> N {
        let standard = default(name);
        let value = self.text(name);
        value.parse().unwrap_or_else(|_| {
            self.warn(name, &value, standard);
            standard.parse().unwrap_or_default()
        })
    }

    /// A TCP port.
    pub(super) fn port(&mut self, name: &str) -> u16 {
        self.number(name)
    }

    fn warn(&mut self, name: &str, value: &str, taken: &str) {
        let value = crate::log::excerpt(value.as_bytes());
        self.warnings
            .push(format!("Warning: {name}=\"{value}\" is taken as {taken}"));
    }
}

fn default(name: &str) -> &'static str {
    VARIABLES
        .iter()
        .find(|known| known.name == name)
        .map_or("", |known| known.default)
}
