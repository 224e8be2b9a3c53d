//! Failures of the sandbox processes: a step and what the kernel said, for a human.

use std::fmt::Display;
use std::io;

use nix::errno::Errno;

/// A failure in words, as it travels to the provider.
pub(super) type Words = String;

/// Names the step during which something failed.
pub(super) trait During<T> {
    /// `mounting /tmp: Operation not permitted`.
    fn during(self, step: impl Display) -> Result<T, Words>;
}

impl<T> During<T> for Result<T, Errno> {
    fn during(self, step: impl Display) -> Result<T, Words> {
        self.map_err(|errno| format!("{step}: {}", errno.desc()))
    }
}

impl<T> During<T> for Result<T, io::Error> {
    fn during(self, step: impl Display) -> Result<T, Words> {
        self.map_err(|error| match error.raw_os_error() {
            Some(code) => format!("{step}: {}", Errno::from_raw(code).desc()),
            None => format!("{step}: {error}"),
        })
    }
}

impl<T> During<T> for Result<T, rustix::io::Errno> {
    fn during(self, step: impl Display) -> Result<T, Words> {
        self.map_err(io::Error::from).during(step)
    }
}
