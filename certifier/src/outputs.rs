//! Where results go: in which format, to which file.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;

/// One report, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output<F> {
    pub(crate) format: F,
    /// Standard output if `None`.
    pub(crate) file: Option<PathBuf>,
}

impl<F: FromStr<Err = String>> FromStr for Output<F> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, file) = match text.split_once('=') {
            Some((_, "")) => return Err("there is no file name after =".to_owned()),
            Some((format, file)) => (format, Some(PathBuf::from(file))),
            None => (text, None),
        };
        let format = format.parse()?;
        Ok(Self { format, file })
    }
}

impl<F> Output<F> {
    pub(crate) fn write(&self, text: &str) -> anyhow::Result<()> {
        match &self.file {
            Some(file) => {
                fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
            }
            None => std::io::stdout().lock().write_all(text.as_bytes())?,
        }
        Ok(())
    }
}
