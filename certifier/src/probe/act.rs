//! What a call does to the process and its files.

use std::fs;
use std::io::{Write, stderr};
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use super::wish::Wish;

/// No line is longer than this, however long it was wished.
const LONGEST_LINE: usize = 1 << 20;

/// Memory that calls have asked for and that is never given back.
#[derive(Default)]
pub(super) struct Hoard(Mutex<Vec<Vec<u8>>>);

impl Hoard {
    /// Takes so many MiB, and touches every byte.
    pub(super) fn take(&self, mebibytes: usize) {
        if mebibytes > 0 {
            let memory = vec![1; mebibytes.saturating_mul(1 << 20)];
            let mut hoard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            hoard.push(memory);
        }
    }
}

/// Prints lines to standard error, numbered from 1 where there is room for a number.
pub(super) fn log(wish: &Wish) {
    let mut out = stderr().lock();
    for number in 1..=wish.log {
        // Whoever reads the log may have gone.
        let _ = out.write_all(&line(wish, number));
    }
}

fn line(wish: &Wish, number: u64) -> Vec<u8> {
    let filling: &[u8] = match wish.kind.as_str() {
        "empty" => return b"\n".to_vec(),
        "unicode" => "ü€😀".as_bytes(),
        "binary" => b"\xff\xfe\x80",
        _ => b"abcdefghijklmnopqrstuvwxyz",
    };
    let mut line = format!("line {number} ").into_bytes();
    while line.len() < wish.length.min(LONGEST_LINE) {
        line.extend_from_slice(filling);
    }
    line.push(b'\n');
    line
}

/// The environment, a variable a line.
pub(super) fn environment() -> String {
    let mut lines: Vec<_> = std::env::vars_os()
        .map(|(name, value)| format!("{}={}\n", name.to_string_lossy(), value.to_string_lossy()))
        .collect();
    lines.sort();
    lines.concat()
}

/// Who may do what with a file, and who asks.
pub(super) fn stat(path: &str) -> Result<String, String> {
    let told = |error| format!("{path}: {error}\n");
    let file = fs::metadata(path).map_err(told)?;
    let me = fs::metadata("/proc/self").map_err(told)?;
    let mode = format!("{:04o}", file.mode() & 0o7777);
    let stat = json!({"mode": mode, "uid": file.uid(), "gid": file.gid(), "me": me.uid()});
    Ok(stat.to_string())
}

pub(super) fn read(path: &str) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{path}: {error}\n"))
}

pub(super) fn write(path: &str, content: &[u8]) -> Result<String, String> {
    fs::write(path, content).map_err(|error| format!("{path}: {error}\n"))?;
    Ok(json!({"written": content.len()}).to_string())
}
