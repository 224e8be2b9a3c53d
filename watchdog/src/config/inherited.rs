//! The environment that every function process inherits.

use std::ffi::{CString, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// Variables of the watchdog's own environment. Printed without their values, among which are secrets.
#[derive(Clone, Default)]
pub struct Inherited {
    variables: Vec<(OsString, OsString)>,
    /// The same as processes are given them: made once, not for every process.
    ready: Vec<CString>,
}

impl Inherited {
    /// The value of a variable. Where a name repeats, the last one counts.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsString> {
        let found = self.variables.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value)
    }

    /// All of them as `NAME=value`, each name once.
    pub(crate) fn ready(&self) -> &[CString] {
        &self.ready
    }
}

impl From<Vec<(OsString, OsString)>> for Inherited {
    /// Everything but our own switch, which is nothing to a function.
    fn from(mut variables: Vec<(OsString, OsString)>) -> Self {
        variables.retain(|(name, _)| name != "metrics_port");
        let later =
            |at: usize, name: &OsString| variables[at + 1..].iter().any(|(key, _)| key == name);
        let ready = variables
            .iter()
            .enumerate()
            .filter(|(at, (name, _))| !later(*at, name))
            // An environment has no zeros within.
            .filter_map(|(_, (name, value))| {
                CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()
            })
            .collect();
        Self { variables, ready }
    }
}

impl fmt::Debug for Inherited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.variables.iter().map(|(name, _)| name))
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

    #[test]
    fn of_a_name_that_repeats_the_last_one_counts() {
        let pairs = [("a", "1"), ("b", "2"), ("a", "3"), ("metrics_port", "0")];
        let pairs = pairs.map(|(name, value)| (name.into(), value.into()));
        let inherited = Inherited::from(pairs.to_vec());
        assert_eq!(inherited.ready(), [c"b=2".to_owned(), c"a=3".to_owned()]);
        assert_eq!(inherited.get("a"), Some(&"3".into()));
    }
}
