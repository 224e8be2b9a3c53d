//! Starting a process, which then waits on its stdin.

use std::ffi::OsString;

use super::group::{Group, Pipes, Start};
use super::{Children, Program, StartError};

/// What is to be started.
pub(crate) struct Launch<'a> {
    pub(crate) program: &'a Program,
    /// `PATH` of the watchdog.
    pub(crate) search_path: Option<&'a OsString>,
    /// The watchdog's own environment.
    pub(crate) inherited: &'a [(OsString, OsString)],
    /// Variables of this call, which count more than inherited ones.
    pub(crate) variables: Vec<(OsString, OsString)>,
    /// Whether stderr is the very pipe of stdout.
    pub(crate) combine_output: bool,
}

/// A started process. Dropping it kills the process and everything it started.
pub(crate) struct Process {
    /// Dropped before the pipes: a process must not take their end for the end of its input.
    pub(super) group: Group,
    pub(super) pipes: Pipes,
}

impl Launch<'_> {
    /// Starts the process.
    pub(crate) fn start(&self, children: &Children) -> Result<Process, StartError> {
        if has_nul(&self.variables) {
            return Err(StartError::NulInEnvironment);
        }
        let path = self.program.find(self.search_path)?;
        let start = Start {
            program: self.program,
            path: &path,
            environment: [self.inherited, &self.variables],
            combine_output: self.combine_output,
        };
        let (group, pipes) = Group::start(&start, children)?;
        Ok(Process { group, pipes })
    }
}

impl Process {
    /// Whether it has ended by itself; it is reaped then.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.group.has_ended()
    }
}

/// A path may be decoded to one; the kernel's environment cannot hold it.
fn has_nul(environment: &[(OsString, OsString)]) -> bool {
    use std::os::unix::ffi::OsStrExt;
    environment
        .iter()
        .any(|(_, value)| value.as_bytes().contains(&0))
}
