//! What a function logs, line by line, under the time and the name of its stream.

use std::io::{self, Write};

use crate::config::Config;
use crate::log;

/// Lines are written together up to this size.
const BATCH_BYTES: usize = 64 * 1024;

/// A stream of the function; its lines go to the watchdog's stream of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// Splits a stream into lines. A longer line than the longest is split, and none is lost: the rest is written on drop.
pub(crate) struct LineLog {
    stream: Stream,
    prefixed: bool,
    longest: usize,
    line: Vec<u8>,
}

impl LineLog {
    pub(crate) fn new(config: &Config, stream: Stream) -> Self {
        Self {
            stream,
            prefixed: config.prefix_logs,
            longest: config.log_buffer_size.max(1),
            line: Vec::new(),
        }
    }

    /// Takes the next piece of the stream.
    pub(crate) fn take(&mut self, piece: &[u8]) {
        let mut batch = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            match part.split_last() {
                Some((b'\n', text)) => {
                    self.append(text, &mut batch);
                    self.end(&mut batch);
                }
                _ => self.append(part, &mut batch),
            }
        }
        self.write(&batch);
    }

    fn append(&mut self, mut text: &[u8], batch: &mut Vec<u8>) {
        while self.line.len() + text.len() > self.longest {
            let (fits, rest) = text.split_at(self.longest - self.line.len());
            self.line.extend_from_slice(fits);
            self.end(batch);
            text = rest;
        }
        self.line.extend_from_slice(text);
    }

    fn end(&mut self, batch: &mut Vec<u8>) {
        if self.prefixed {
            batch.extend_from_slice(log::timestamp().as_bytes());
            batch.extend_from_slice(match self.stream {
                Stream::Stdout => b"stdout: ",
                Stream::Stderr => b"stderr: ",
            });
        }
        batch.append(&mut self.line);
        batch.push(b'\n');
        if batch.len() >= BATCH_BYTES {
            self.write(batch);
            batch.clear();
        }
    }

    /// A log that cannot be written is no reason to stop reading: the function would block.
    fn write(&self, batch: &[u8]) {
        let _ = match self.stream {
            Stream::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(batch).and_then(|()| stdout.flush())
            }
            Stream::Stderr => io::stderr().lock().write_all(batch),
        };
    }
}

impl Drop for LineLog {
    fn drop(&mut self) {
        if self.line.is_empty() {
            return;
        }
        let mut batch = Vec::new();
        self.end(&mut batch);
        self.write(&batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the pieces come to, with lines of at most eight bytes.
    fn lines(pieces: &[&str]) -> String {
        let mut log = LineLog {
            stream: Stream::Stderr,
            prefixed: false,
            longest: 8,
            line: Vec::new(),
        };
        let mut batch = Vec::new();
        for piece in pieces {
            for part in piece.split_inclusive('\n') {
                log.append(part.trim_end_matches('\n').as_bytes(), &mut batch);
                if part.ends_with('\n') {
                    log.end(&mut batch);
                }
            }
        }
        log.end(&mut batch);
        String::from_utf8_lossy(&batch).into_owned()
    }

    #[test]
    fn lines_are_put_together_and_long_ones_split() {
        assert_eq!(lines(&["one\ntw", "o"]), "one\ntwo\n");
        assert_eq!(lines(&["12345678\nx"]), "12345678\nx\n");
        assert_eq!(lines(&["123456789", "0\n", "x"]), "12345678\n90\nx\n");
        assert_eq!(lines(&["\n\nx"]), "\n\nx\n");
    }
}
