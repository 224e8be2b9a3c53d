//! Why a check did not hold, with the evidence.

use std::fmt;

/// What a check returns: nothing to say, or the evidence.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// What was expected, what came instead, and the exchange that shows it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What should have happened.
    pub expected: String,
    /// What happened.
    pub got: String,
    /// The request that shows it, as text; empty when there was none.
    pub sent: String,
    /// The answer to that request, as text; empty when there was none.
    pub received: String,
}

impl Failure {
    /// A failure without an exchange of its own.
    pub(crate) fn new(expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            got: got.into(),
            sent: String::new(),
            received: String::new(),
        }
    }

    /// Says what the exchange was for, when it failed on the way to the check proper.
    pub(crate) fn while_doing(mut self, what: &str) -> Self {
        self.got = format!("while {what}: {}", self.got);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        field(out, "expected", &self.expected)?;
        field(out, "got", &self.got)?;
        field(out, "sent", &self.sent)?;
        field(out, "received", &self.received)
    }
}

/// One aligned field; further lines are indented under the first.
pub(crate) fn field(out: &mut fmt::Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    for (index, line) in text.lines().enumerate() {
        let name = if index == 0 { name } else { "" };
        writeln!(out, "    {name:<9} {line}")?;
    }
    Ok(())
}
