//! What is stored of anything: a block of headers and a payload. On NATS these are a message's own; on disk they follow
//! one another. The first header says the version.

use bytes::Bytes;

/// Names the version in every stored record and message.
pub const VERSION_HEADER: &str = "OF-V";
/// The version that is written. The one before is read too.
pub const VERSION: u32 = 2;

/// Why something stored cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// A newer program wrote it.
    #[error(
        "it is of version {0}, and this program reads up to version {VERSION}; use a newer one"
    )]
    Newer(u32),
    /// It is not ours, or broken.
    #[error("it cannot be read: {0}")]
    Garbage(String),
}

impl FormatError {
    pub(crate) fn garbage(what: impl ToString) -> Self {
        Self::Garbage(what.to_string())
    }
}

/// Headers, in order, and a payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Names and values. Values hold neither CR nor LF.
    pub headers: Vec<(String, String)>,
    /// Whatever it is about.
    pub payload: Bytes,
}

impl Envelope {
    /// An envelope of the version that is written now.
    #[must_use]
    pub(crate) fn new(payload: Bytes) -> Self {
        let version = (VERSION_HEADER.to_owned(), VERSION.to_string());
        Self {
            headers: vec![version],
            payload,
        }
    }

    pub(crate) fn push(&mut self, name: &str, value: impl ToString) {
        self.headers.push((name.to_owned(), value.to_string()));
    }

    pub(crate) fn push_some(&mut self, name: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.push(name, value);
        }
    }

    /// The first header of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A header that has to be there.
    pub(crate) fn need(&self, name: &str) -> Result<&str, FormatError> {
        self.get(name)
            .ok_or_else(|| FormatError::Garbage(format!("{name} is missing")))
    }

    /// A number that may be missing.
    pub(crate) fn number<T: std::str::FromStr>(
        &self,
        name: &str,
    ) -> Result<Option<T>, FormatError> {
        let bad = |text: &str| FormatError::Garbage(format!("{name} is `{text}`"));
        self.get(name)
            .map(|text| text.parse().map_err(|_| bad(text)))
            .transpose()
    }

    /// Its version; `None` where it says none, as messages of the original do.
    ///
    /// # Errors
    /// When it is newer than this program, or no number.
    pub fn version(&self) -> Result<Option<u32>, FormatError> {
        match self.number(VERSION_HEADER)? {
            Some(version) if version > VERSION => Err(FormatError::Newer(version)),
            version => Ok(version),
        }
    }

    /// Its form on disk: the headers a line each, an empty line, the payload.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let lines = |(name, value): &(String, String)| name.len() + value.len() + 4;
        let head: usize = self.headers.iter().map(lines).sum();
        let mut bytes = Vec::with_capacity(head + 2 + self.payload.len());
        for (name, value) in &self.headers {
            for part in [name, ": ", value, "\r\n"] {
                bytes.extend_from_slice(part.as_bytes());
            }
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// Reads the form on disk.
    ///
    /// # Errors
    /// When it is not what [`Envelope::to_bytes`] writes, or of a newer version.
    pub fn from_bytes(bytes: &Bytes) -> Result<Self, FormatError> {
        let mut headers = Vec::new();
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let end = rest.windows(2).position(|two| two == b"\r\n");
            let end = end.ok_or_else(|| FormatError::garbage("the headers have no end"))?;
            let line = std::str::from_utf8(&rest[..end]).map_err(FormatError::garbage)?;
            at += end + 2;
            if line.is_empty() {
                break;
            }
            let pair = line.split_once(": ");
            let (name, value) =
                pair.ok_or_else(|| FormatError::Garbage(format!("`{line}` is no header")))?;
            headers.push((name.to_owned(), value.to_owned()));
        }
        let envelope = Self {
            headers,
            payload: bytes.slice(at..),
        };
        envelope.version()?;
        Ok(envelope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_again() {
        let mut envelope = Envelope::new(Bytes::from_static(b"\r\n\0\xff: x"));
        envelope.push("OF-Path", "/a: b");
        envelope.push("H.Accept", "");
        let bytes = Bytes::from(envelope.to_bytes());
        assert_eq!(Envelope::from_bytes(&bytes), Ok(envelope));
    }

    #[test]
    fn what_is_not_ours_or_newer_is_refused_in_words() {
        for (bytes, words) in [
            ("", "no end"),
            ("OF-V: 2\r\n", "no end"),
            ("hello\r\n\r\n", "`hello` is no header"),
            ("OF-V: 3\r\n\r\n", "version 3"),
            ("OF-V: x\r\n\r\n", "OF-V is `x`"),
        ] {
            let error = Envelope::from_bytes(&Bytes::from_static(bytes.as_bytes())).unwrap_err();
            assert!(error.to_string().contains(words), "{bytes:?}: {error}");
        }
    }
}
