//! Settings from the environment: declared once, read with every mistake reported, printed for `--help`.
//!
//! Names are lower case and exact (a platform's `PORT` is not our `port`); an empty value means unset.
//! [`settings!`](crate::settings) declares the struct, its defaults, and the table behind `--help` in one place, so that
//! the help cannot lie.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error as _};
use url::Url;

use crate::duration;

/// One variable, as `--help` and `docs/configuration.md` show it.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its exact name.
    pub name: &'static str,
    /// What kind of value it takes, in words.
    pub kind: &'static str,
    /// The value of an unset variable; `None` where there is none.
    pub default: Option<&'static str>,
    /// Whether the program refuses to start without it.
    pub required: bool,
    /// What it does.
    pub meaning: &'static str,
}

/// A value that a variable can hold.
pub trait Setting: Sized {
    /// The kind of value in words: `duration`, `true/false`.
    const KIND: &'static str;
    /// Whether an unset variable is an answer too.
    const OPTIONAL: bool = false;

    /// Reads a value that is not empty.
    ///
    /// # Errors
    /// In words that quote the value and say what would be right.
    fn parse(text: &str) -> Result<Self, String>;

    /// The value of an unset variable without default.
    fn absent() -> Option<Self> {
        None
    }
}

/// A struct of settings declared by [`settings!`](crate::settings).
pub trait Settings: Sized {
    /// Every variable, in the order of declaration.
    const VARIABLES: &'static [Variable];

    /// Takes the struct out of the reader, which collects the mistakes.
    fn take(reader: &mut Reader) -> Option<Self>;
}

/// Every mistake found in one reading.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error(Vec<String>);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

/// Reads settings from name and value pairs, usually `std::env::vars()`.
///
/// # Errors
/// All mistakes at once, each with its variable's name.
pub fn read<S: Settings>(
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<S, Error> {
    let variables = variables
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let mut reader = Reader {
        variables,
        mistakes: Vec::new(),
    };
    match S::take(&mut reader) {
        Some(settings) if reader.mistakes.is_empty() => Ok(settings),
        _ => Err(Error(reader.mistakes)),
    }
}

/// Reads settings from the environment of this process. Only a `main` calls this.
///
/// # Errors
/// As [`read`].
pub fn read_process<S: Settings>() -> Result<S, Error> {
    // What is not UTF-8 cannot be a value of ours, but must not end the program where nobody asks for it.
    let text = |text: OsString| text.to_string_lossy().into_owned();
    read(std::env::vars_os().map(|(name, value)| (text(name), text(value))))
}

/// What [`Settings::take`] takes its fields from.
pub struct Reader {
    variables: Vec<(String, String)>,
    mistakes: Vec<String>,
}

impl Reader {
    /// One field; a mistake is noted and gives `None`.
    pub fn field<T: Setting>(&mut self, name: &str, default: Option<&str>) -> Option<T> {
        let given = self.variables.iter().rev().find(|(key, _)| key == name);
        let Some(text) = given.map(|(_, value)| value.as_str()).or(default) else {
            let absent = T::absent();
            if absent.is_none() {
                self.mistakes.push(format!("{name}: required, but not set"));
            }
            return absent;
        };
        // One variable at a time: envy reports its first mistake only, and drops the name on the way.
        match envy::from_iter::<_, One<T>>([("value".to_owned(), text.to_owned())]) {
            Ok(One { value }) => Some(value),
            Err(mistake) => {
                self.mistakes.push(format!("{name}: {mistake}"));
                None
            }
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(bound = "T: Setting")]
struct One<T> {
    #[serde(deserialize_with = "parsed")]
    value: T,
}

fn parsed<'de, D: Deserializer<'de>, T: Setting>(deserializer: D) -> Result<T, D::Error> {
    T::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// The table behind `--help`: a line with name, kind and default, then the meaning.
#[must_use]
pub fn help<S: Settings>() -> String {
    let mut text = String::from(
        "Settings are environment variables (lower case, an empty value means unset):\n",
    );
    for variable in S::VARIABLES {
        let default = match (variable.default, variable.required) {
            (Some(value), _) => format!("default {value}"),
            (None, true) => "required".to_owned(),
            (None, false) => "unset by default".to_owned(),
        };
        text.push_str(&format!(
            "\n  {} ({}; {default})\n",
            variable.name, variable.kind
        ));
        for line in variable.meaning.lines() {
            text.push_str(&format!("      {}\n", line.trim()));
        }
    }
    text
}

/// Declares a struct of settings: fields with their meaning as documentation, their type, and their default as text.
///
/// ```
/// faas_http::settings! {
///     /// Settings of a service.
///     pub struct Config {
///         /// Port to listen on.
///         pub port: u16 = "8080",
///         /// Where its files are.
///         pub data_dir: Option<std::path::PathBuf>,
///     }
/// }
/// let config: Config = faas_http::env::read([]).unwrap();
/// assert_eq!(config.port, 8080);
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[$about:meta])*
        $vis:vis struct $name:ident {
            $( $(#[doc = $meaning:literal])* pub $field:ident : $kind:ty $(= $default:literal)? ),* $(,)?
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug)]
        $vis struct $name {
            $( $(#[doc = $meaning])* pub $field: $kind, )*
        }

        impl $crate::env::Settings for $name {
            const VARIABLES: &'static [$crate::env::Variable] = &[ $(
                $crate::env::Variable {
                    name: stringify!($field),
                    kind: <$kind as $crate::env::Setting>::KIND,
                    default: $crate::settings!(@default $($default)?),
                    required: !<$kind as $crate::env::Setting>::OPTIONAL
                        && $crate::settings!(@default $($default)?).is_none(),
                    meaning: concat!($($meaning, "\n"),*),
                },
            )* ];

            #[allow(non_snake_case, reason = "some names are others' own, as DOCKER_HOST")]
            fn take(reader: &mut $crate::env::Reader) -> Option<Self> {
                $( let $field = reader.field(stringify!($field), $crate::settings!(@default $($default)?)); )*
                Some(Self { $( $field: $field?, )* })
            }
        }
    };
    (@default) => { None::<&'static str> };
    (@default $default:literal) => { Some($default) };
}

impl<T: Setting> Setting for Option<T> {
    const KIND: &'static str = T::KIND;
    const OPTIONAL: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        T::parse(text).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

macro_rules! number {
    ($($kind:ty),*) => { $(
        impl Setting for $kind {
            const KIND: &'static str = "number";

            fn parse(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| format!("`{text}` is no whole number from {} to {}", <$kind>::MIN, <$kind>::MAX))
            }
        }
    )* };
}

number!(u16, u32, u64, usize);

impl Setting for f64 {
    const KIND: &'static str = "decimal number";

    fn parse(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number: &Self| number.is_finite());
        number.ok_or_else(|| format!("`{text}` is no decimal number"))
    }
}

impl Setting for bool {
    const KIND: &'static str = "true/false";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(format!(
                "`{text}` is neither `true` (`1`) nor `false` (`0`)"
            )),
        }
    }
}

impl Setting for Duration {
    const KIND: &'static str = "duration";

    fn parse(text: &str) -> Result<Self, String> {
        duration::parse(text).map_err(|error| error.to_string())
    }
}

impl Setting for String {
    const KIND: &'static str = "text";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Setting for PathBuf {
    const KIND: &'static str = "path";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::from(text))
    }
}

impl Setting for Url {
    const KIND: &'static str = "URL";

    fn parse(text: &str) -> Result<Self, String> {
        match Self::parse(text) {
            Ok(url) if url.scheme() == "http" && url.has_host() => Ok(url),
            Ok(_) => Err(format!("`{text}` is no http:// URL with a host")),
            Err(error) => Err(format!("`{text}` is no URL ({error})")),
        }
    }
}

/// A limit in which zero means none: timeouts, above all.
#[must_use]
pub fn limit(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    settings! {
        /// Settings of a test.
        struct Example {
            /// Where to ask.
            pub upstream: Url,
            /// The port.
            /// Nothing below 1024 as non-root.
            pub port: u16 = "8080",
            /// How long.
            pub upstream_timeout: Duration = "60s",
            /// Whether.
            pub basic_auth: bool = "false",
            /// Where files are.
            pub data_dir: Option<PathBuf>,
        }
    }

    fn example(pairs: &[(&str, &str)]) -> Result<Example, Error> {
        read(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    #[test]
    fn defaults_hold_where_nothing_or_the_empty_text_is_set() {
        let config = example(&[
            ("upstream", "http://p:8080/"),
            ("port", ""),
            ("PORT", "1"),
            ("data_dir", ""),
        ])
        .unwrap();
        assert_eq!(
            (config.port, config.upstream_timeout),
            (8080, Duration::from_secs(60))
        );
        assert_eq!(config.data_dir, None);
        assert_eq!(config.upstream.as_str(), "http://p:8080/");
    }

    #[test]
    fn switches_and_durations_take_the_spellings_of_operators() {
        let config = example(&[
            ("upstream", "http://p"),
            ("basic_auth", "1"),
            ("upstream_timeout", "1m30s"),
            ("data_dir", "/d"),
        ])
        .unwrap();
        assert!(config.basic_auth);
        assert_eq!(config.upstream_timeout, Duration::from_secs(90));
        assert_eq!(config.data_dir, Some(PathBuf::from("/d")));
    }

    #[test]
    fn all_mistakes_are_told_at_once_each_with_its_variable() {
        let error = example(&[
            ("port", "70000"),
            ("upstream_timeout", "soon"),
            ("basic_auth", "yes"),
        ])
        .unwrap_err();
        let text = error.to_string();
        for part in [
            "upstream: required, but not set",
            "port: `70000`",
            "upstream_timeout: `soon`",
            "basic_auth: `yes`",
        ] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
    }

    #[test]
    fn help_names_every_variable_with_kind_default_and_meaning() {
        let text = help::<Example>();
        for part in [
            "upstream (URL; required)\n      Where to ask.",
            "port (number; default 8080)\n      The port.\n      Nothing below 1024 as non-root.",
            "data_dir (path; unset by default)",
        ] {
            assert!(text.contains(part), "{part:?} is missing in: {text}");
        }
    }
}
