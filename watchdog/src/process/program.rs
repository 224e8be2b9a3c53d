//! What to run: `fprocess` split, the program found, and the words when it cannot be.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};

use crate::go_text;

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) name: OsString,
    pub(crate) arguments: Vec<OsString>,
}

/// Why a function process could not be started, in the words that callers find in the answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("exec: no command")]
    NoCommand,
    #[error("exec: \"{}\": executable file not found in $PATH", .0.display())]
    NotFound(OsString),
    #[error("exec: environment variable contains NUL")]
    NulInEnvironment,
    #[error("fork/exec {}: {}", .0.display(), go_text::error(.1))]
    Exec(PathBuf, io::Error),
    #[error("pipe: {}", go_text::error(.0))]
    Pipes(io::Error),
}

impl Program {
    /// Splits at every single space: no quoting, no variables; two spaces make an empty argument.
    pub(crate) fn split(fprocess: &OsStr) -> Self {
        let mut words = fprocess
            .as_bytes()
            .split(|byte| *byte == b' ')
            .map(|word| OsString::from_vec(word.to_vec()));
        Self {
            name: words.next().unwrap_or_default(),
            arguments: words.collect(),
        }
    }

    /// The file to run: a name with a slash as it is, another one from `search_path`.
    ///
    /// Looked up for every call, as a function may install its program late.
    pub(super) fn find(&self, search_path: Option<&OsString>) -> Result<PathBuf, StartError> {
        if self.name.is_empty() {
            return Err(StartError::NoCommand);
        }
        if self.name.as_bytes().contains(&b'/') {
            return Ok(PathBuf::from(&self.name));
        }
        std::env::split_paths(search_path.map_or(OsStr::new(""), OsString::as_os_str))
            // A program of the working directory is run only when it is asked for, as `./name`.
            .filter(|directory| directory.is_absolute())
            .map(|directory| directory.join(&self.name))
            .find(|path| is_executable(path))
            .ok_or_else(|| StartError::NotFound(self.name.clone()))
    }
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && faccessat(AT_FDCWD, path, AccessFlags::X_OK, AtFlags::AT_EACCESS).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fprocess_is_split_at_single_spaces() {
        for (fprocess, words) in [
            ("cat", &["cat"][..]),
            ("printf [%s] a  b", &["printf", "[%s]", "a", "", "b"]),
            ("x ", &["x", ""]),
            (" cat", &["", "cat"]),
            ("printf\thi", &["printf\thi"]),
            ("sh -c 'echo hi'", &["sh", "-c", "'echo", "hi'"]),
        ] {
            let program = Program::split(OsStr::new(fprocess));
            assert_eq!(program.name, words[0], "{fprocess:?}");
            assert_eq!(program.arguments, words[1..], "{fprocess:?}");
        }
    }
}
