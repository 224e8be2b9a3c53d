//! The lines at the ends of calls, written together.
//!
//! Under load a write for each call would be a fifth of all system calls, and threads would wait for each other in it.
//! So a line that follows another within [`DELAY`] waits so long for more; a watchdog that is killed with SIGKILL loses
//! so much of them. The first after a pause, and every other entry of the log, is written at once.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::log;

/// How long a line waits for others.
const DELAY: Duration = Duration::from_millis(2);
/// Whoever fills this much writes it: a disk that is slow slows callers down, and memory stays bounded.
const MOST_BYTES: usize = 64 * 1024;

/// Lines that wait to be written to stderr. What is left is written on drop.
#[derive(Debug, Default)]
pub(crate) struct AccessLog {
    waiting: Mutex<Waiting>,
    begun: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// When lines were written last.
    written: Option<Instant>,
    /// The second since 1970 of the last line, and how it is written: the same for thousands of lines.
    stamp: (u64, String),
}

impl AccessLog {
    /// Adds one line, which `write` appends without its end.
    pub(crate) fn add(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut waiting = self.waiting();
        let first = waiting.lines.is_empty();
        waiting.push(write);
        let at_once = waiting.lines.len() >= MOST_BYTES || waiting.is_after_a_pause();
        if at_once {
            waiting.write();
        }
        drop(waiting);
        if first && !at_once {
            self.begun.notify_one();
        }
    }

    /// Writes what was added, a moment later. Ends never.
    pub(crate) async fn run(&self) {
        loop {
            self.begun.notified().await;
            sleep(DELAY).await;
            self.flush();
        }
    }

    /// Writes everything that was added.
    pub(crate) fn flush(&self) {
        self.waiting().write();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Waiting {
    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let second = now.map_or(0, |now| now.as_secs());
        if self.stamp.0 != second || self.stamp.1.is_empty() {
            self.stamp = (second, log::timestamp());
        }
        self.lines.extend_from_slice(self.stamp.1.as_bytes());
        write(&mut self.lines);
        self.lines.push(b'\n');
    }

    fn is_after_a_pause(&self) -> bool {
        self.written
            .is_none_or(|written| written.elapsed() >= DELAY)
    }

    /// A log that cannot be written is no reason to fail a call.
    fn write(&mut self) {
        if !self.lines.is_empty() {
            let _ = std::io::stderr().lock().write_all(&self.lines);
            self.lines.clear();
            self.written = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(log: &AccessLog, text: &str) {
        log.add(|line| line.extend_from_slice(text.as_bytes()));
    }

    fn lines(log: &AccessLog) -> usize {
        let waiting = log.waiting();
        waiting.lines.iter().filter(|byte| **byte == b'\n').count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_after_a_pause_is_written_at_once_and_others_wait_for_each_other() {
        let log = AccessLog::default();
        let adding = async {
            add(&log, "GET / - 200 OK");
            assert_eq!(lines(&log), 0);
            add(&log, "GET / - 200 OK");
            add(&log, "GET / - 200 OK");
            tokio::task::yield_now().await;
            assert_eq!(lines(&log), 2);
            sleep(DELAY * 2).await;
            assert_eq!(lines(&log), 0);
            sleep(DELAY).await;
            add(&log, "GET / - 200 OK");
            assert_eq!(lines(&log), 0);
        };
        tokio::select! {
            () = log.run() => {}
            () = adding => {}
        }
    }

    #[test]
    fn what_waits_is_bounded() {
        let log = AccessLog::default();
        for _ in 0..100 {
            add(&log, &"a".repeat(10_000));
            assert!(log.waiting().lines.len() < MOST_BYTES);
        }
    }
}
