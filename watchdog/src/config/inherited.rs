//! The environment that every function process inherits.

use std::ffi::OsString;
use std::fmt;

/// Variables of the watchdog's own environment. Printed without their values, among which are secrets.
#[derive(Clone, Default)]
pub struct Inherited(Vec<(OsString, OsString)>);

impl Inherited {
    /// The value of a variable. Where a name repeats, the last one counts.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsString> {
        let found = self.0.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value)
    }

    /// All of them, in their order.
    #[must_use]
    pub fn as_slice(&self) -> &[(OsString, OsString)] {
        &self.0
    }
}

impl From<Vec<(OsString, OsString)>> for Inherited {
    /// Everything but our own switch, which is nothing to a function.
    fn from(mut environment: Vec<(OsString, OsString)>) -> Self {
        environment.retain(|(name, _)| name != "metrics_port");
        Self(environment)
    }
}

impl fmt::Debug for Inherited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_printed() {
        let inherited = Inherited::from(vec![("token".into(), "s3cret".into())]);
        assert_eq!(format!("{inherited:?}"), "[\"token\"]");
    }
}
