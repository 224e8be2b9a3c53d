//! How the function is run.

use std::fmt;

use super::ConfigError;
use super::reader::Reader;

/// The mode: `mode`, or where that is unset `watchdog_default_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A process per call, answered when it has ended; the rules and defaults of the classic watchdog.
    Classic,
    /// A process per call, streamed both ways.
    Streaming,
    /// A process per call, answered when it has ended.
    Serializing,
    /// One process that is an HTTP server itself.
    Http,
    /// Files, and no process.
    Static,
}

impl Mode {
    pub(super) fn read(reader: &Reader<'_>) -> Result<Self, ConfigError> {
        let name = match reader.text("mode") {
            unset if unset.is_empty() => reader.text("watchdog_default_mode"),
            name => name,
        };
        match name.as_str() {
            "classic" => Ok(Self::Classic),
            "streaming" => Ok(Self::Streaming),
            "serializing" => Ok(Self::Serializing),
            "http" => Ok(Self::Http),
            "static" => Ok(Self::Static),
            "inproc" => Err(ConfigError::InProcess),
            _ => Err(ConfigError::UnknownMode(name)),
        }
    }

    /// Whether variables have the defaults and spellings of the classic watchdog, or those of the other program.
    #[must_use]
    pub fn is_classic(self) -> bool {
        self == Self::Classic
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Classic => "classic",
            Self::Streaming => "streaming",
            Self::Serializing => "serializing",
            Self::Http => "http",
            Self::Static => "static",
        })
    }
}
