//! Reading single variables, forgivingly.

use std::ffi::{OsStr, OsString};
use std::str::FromStr;

use super::Limit;
use super::variables::VARIABLES;

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

    /// The bytes of a variable that is set and not empty. Where a name repeats, the last one counts.
    pub(super) fn raw(&self, name: &str) -> Option<OsString> {
        debug_assert!(
            VARIABLES.iter().any(|known| known.name == name),
            "{name} is not in the table"
        );
        self.environment
            .iter()
            .rev()
            .find(|(key, _)| key == OsStr::new(name))
            .map(|(_, value)| value.clone())
            .filter(|value| !value.is_empty())
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
