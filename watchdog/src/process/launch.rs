//! Starting a process, which then waits on its stdin.

use std::ffi::{CString, OsString};

use super::group::{Group, Pipes, Start};
use super::{Children, Program, StartError};

/// What is to be started.
pub(crate) struct Launch<'a> {
    pub(crate) program: &'a Program,
    /// `PATH` of the watchdog.
    pub(crate) search_path: Option<&'a OsString>,
    /// The watchdog's own environment, each as `NAME=value`.
    pub(crate) inherited: &'a [CString],
    /// Variables of this call, which count more than inherited ones.
    pub(crate) variables: Vec<Vec<u8>>,
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
    pub(crate) fn start(self, children: &Children) -> Result<Process, StartError> {
        // A path may be decoded to a zero; the kernel's environment cannot hold it.
        let own: Vec<CString> = self
            .variables
            .into_iter()
            .map(CString::new)
            .collect::<Result<_, _>>()
            .map_err(|_| StartError::NulInEnvironment)?;
        let names: Vec<&[u8]> = own.iter().map(name).collect();
        let inherited = self.inherited.iter().filter(|variable| {
            let bytes = variable.as_bytes();
            !names.iter().any(|name| bytes.starts_with(name))
        });
        let path = self.program.find(self.search_path)?;
        let start = Start {
            program: self.program,
            path: &path,
            environment: inherited.chain(&own).collect(),
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

/// The name of a variable and its `=`.
fn name(variable: &CString) -> &[u8] {
    let bytes = variable.as_bytes();
    let end = bytes.iter().position(|byte| *byte == b'=');
    &bytes[..end.map_or(bytes.len(), |end| end + 1)]
}
