//! The watchdog's own log: `2006/01/02 15:04:05 text` on stderr, one write per entry.
//!
//! No level and no ISO time: log readers strip digits, `/`, `:` and blanks and then look for the texts.

use std::io::Write;

use chrono::{Datelike, Timelike};

/// Longest entry written; also the piece size in which longer function output is logged.
pub(crate) const LONGEST_ENTRY_BYTES: usize = 128 * 1024;

/// Longest piece of a request (its path, its query) that is logged.
const LONGEST_EXCERPT_CHARS: usize = 2048;

/// Writes one entry, formatted like `format!`.
macro_rules! log {
    ($($text:tt)*) => { $crate::log::entry(format!($($text)*).as_bytes()) };
}

/// Writes one entry: the time, the bytes, a newline if there is none.
///
/// A log that cannot be written is no reason to fail a call.
pub(crate) fn entry(text: &[u8]) {
    let text = &text[..text.len().min(LONGEST_ENTRY_BYTES + 64)];
    let mut line = timestamp().into_bytes();
    line.extend_from_slice(text);
    if line.last() != Some(&b'\n') {
        line.push(b'\n');
    }
    let _ = std::io::stderr().lock().write_all(&line);
}

/// Writes bytes of a function under a label, in pieces no longer than the longest entry, losing none.
pub(crate) fn output(label: &str, text: &[u8]) {
    for piece in text.chunks(LONGEST_ENTRY_BYTES) {
        entry(&[label.as_bytes(), piece].concat());
    }
}

/// Text from a request made fit for a line: no control characters, no endless targets.
pub(crate) fn excerpt(text: &[u8]) -> String {
    let mut line = Vec::new();
    write_excerpt(text, &mut line);
    String::from_utf8_lossy(&line).into_owned()
}

/// The same, appended to a line.
pub(crate) fn write_excerpt(text: &[u8], line: &mut Vec<u8>) {
    // Most are fit already.
    if text.len() <= LONGEST_EXCERPT_CHARS && text.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return line.extend_from_slice(text);
    }
    let text = String::from_utf8_lossy(text);
    for character in text.chars().take(LONGEST_EXCERPT_CHARS) {
        if character.is_control() {
            line.extend(character.escape_default().map(|escaped| escaped as u8));
        } else {
            line.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

/// The time at the beginning of an entry, and a blank.
pub(crate) fn timestamp() -> String {
    let now = chrono::Local::now();
    // Field by field: a format in a text would be parsed anew for every line.
    format!(
        "{:04}/{:02}/{:02} {:02}:{:02}:{:02} ",
        now.year(),
        now.month(),
        now.day(),
        now.hour(),
        now.minute(),
        now.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timestamp_is_digits_slashes_colons_and_blanks() {
        let stamp = timestamp();
        assert_eq!(stamp.len(), "2006/01/02 15:04:05 ".len());
        assert!(stamp.chars().all(|c| "0123456789/: ".contains(c)));
    }

    #[test]
    fn excerpts_cannot_forge_lines() {
        assert_eq!(excerpt(b"/a\nX=1"), "/a\\nX=1");
        assert_eq!(excerpt(&vec![b'a'; 9000]).len(), LONGEST_EXCERPT_CHARS);
    }
}
