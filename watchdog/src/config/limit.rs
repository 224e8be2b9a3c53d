//! A duration that limits something, as operators write it.

use std::fmt;
use std::time::Duration;

use faas_http::duration;

/// A duration setting. Zero and negative ones mean "no limit", and are printed as they were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    negative: bool,
    magnitude: Duration,
}

impl Limit {
    /// A limit of this length; zero is none.
    #[must_use]
    pub const fn new(limit: Duration) -> Self {
        Self {
            negative: false,
            magnitude: limit,
        }
    }

    /// Reads bare seconds or a Go duration.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, magnitude) = duration::parse_signed(text).ok()?;
        Some(Self {
            negative,
            magnitude,
        })
    }

    /// Whether it is exactly zero.
    pub(super) fn is_zero(self) -> bool {
        self.magnitude.is_zero()
    }

    /// The duration, if it limits anything.
    #[must_use]
    pub fn get(self) -> Option<Duration> {
        (!self.negative && !self.magnitude.is_zero()).then_some(self.magnitude)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative && !self.magnitude.is_zero() {
            f.write_str("-")?;
        }
        f.write_str(&duration::format(self.magnitude))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_printed_as_they_were_given() {
        for (text, printed, limits) in [
            ("7", "7s", true),
            ("1500ms", "1.5s", true),
            ("0", "0s", false),
            ("-1s", "-1s", false),
            ("-0", "0s", false),
        ] {
            let limit = Limit::parse(text);
            assert_eq!(limit.map(|l| l.to_string()).as_deref(), Some(printed));
            assert_eq!(limit.and_then(Limit::get).is_some(), limits, "{text}");
        }
    }
}
