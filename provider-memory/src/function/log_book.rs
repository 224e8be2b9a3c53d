//! The log of one function: the last lines of all its replicas, and those to come for whoever follows.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use faas_provider::{FunctionName, LogMessage, LogRequest, LogStream};
use futures_util::{StreamExt, stream};
use time::OffsetDateTime;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;

/// Most lines kept of one function.
const KEPT_LINES: usize = 5_000;
/// Most bytes of text kept of one function.
const KEPT_BYTES: usize = 1024 * 1024;
/// Longest line; a longer one is told in pieces. Room for the longest of a watchdog, 128 KiB, and for the time and the name
/// that it puts in front.
const LINE_BYTES: usize = 129 * 1024;

/// The log of one function.
#[derive(Debug)]
pub(crate) struct LogBook {
    name: FunctionName,
    kept: Arc<Mutex<Kept>>,
    /// How many lines were ever written; followers wait for it to grow.
    written: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<LogMessage>,
    bytes: usize,
    /// How many lines came before the first one kept.
    forgotten: u64,
}

impl Kept {
    /// The lines from number `from` on that are still there, and the number of the line after the last.
    fn since(&self, from: u64) -> (Vec<LogMessage>, u64) {
        let skip = usize::try_from(from.saturating_sub(self.forgotten)).unwrap_or(usize::MAX);
        (
            self.lines.iter().skip(skip).cloned().collect(),
            self.forgotten + self.lines.len() as u64,
        )
    }
}

fn locked(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LogBook {
    pub(crate) fn new(name: FunctionName) -> Self {
        Self {
            name,
            kept: Arc::default(),
            written: watch::Sender::new(0),
        }
    }

    /// Writes a line that a replica said, or that the provider says of it.
    pub(crate) fn write(&self, instance: &str, text: impl Into<String>) {
        let line = LogMessage {
            name: self.name.name().to_owned(),
            namespace: self.name.namespace().to_owned(),
            instance: instance.to_owned(),
            timestamp: OffsetDateTime::now_utc(),
            text: text.into(),
        };
        let mut kept = locked(&self.kept);
        kept.bytes += line.text.len();
        kept.lines.push_back(line);
        while kept.lines.len() > KEPT_LINES || (kept.bytes > KEPT_BYTES && kept.lines.len() > 1) {
            kept.bytes -= kept.lines.pop_front().map_or(0, |line| line.text.len());
            kept.forgotten += 1;
        }
        let written = kept.forgotten + kept.lines.len() as u64;
        drop(kept);
        self.written.send_replace(written);
    }

    /// Writes everything that a replica says on one of its streams, until it ends.
    pub(crate) async fn copy(&self, instance: &str, from: impl AsyncRead + Unpin) {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        loop {
            let (used, whole) = match from.fill_buf().await {
                Ok([]) | Err(_) => break,
                Ok(bytes) => {
                    let room = &bytes[..bytes.len().min(LINE_BYTES - line.len())];
                    match room.iter().position(|byte| *byte == b'\n') {
                        Some(end) => {
                            line.extend_from_slice(&room[..end]);
                            (end + 1, true)
                        }
                        None => {
                            line.extend_from_slice(room);
                            (room.len(), line.len() == LINE_BYTES)
                        }
                    }
                }
            };
            from.consume(used);
            if whole {
                let end = match line.len() {
                    LINE_BYTES => piece(&line),
                    end => end,
                };
                self.write(instance, String::from_utf8_lossy(&line[..end]));
                line.drain(..end);
            }
        }
        if !line.is_empty() {
            self.write(instance, String::from_utf8_lossy(&line));
        }
    }

    /// The lines asked for; `tail` counts for each replica. A follower that is slower than the lines come misses those
    /// that are no longer kept, and nothing else.
    pub(crate) fn read(&self, request: &LogRequest) -> LogStream {
        let (lines, next) = locked(&self.kept).since(0);
        let lines = lines
            .into_iter()
            .filter(|line| wanted(line, request))
            .collect();
        let past = stream::iter(last_of_each(lines, request.tail));
        if !request.follow {
            return past.boxed();
        }
        let request = request.clone();
        let source = (Arc::clone(&self.kept), self.written.subscribe(), next);
        let future = stream::unfold(source, |(kept, mut written, next)| async move {
            // An error says that the function is gone.
            written.wait_for(|written| *written > next).await.ok()?;
            let (lines, next) = locked(&kept).since(next);
            Some((stream::iter(lines), (kept, written, next)))
        });
        past.chain(
            future
                .flatten()
                .filter(move |line| std::future::ready(wanted(line, &request))),
        )
        .boxed()
    }
}

/// Where to cut a line that is too long: not within a character.
fn piece(line: &[u8]) -> usize {
    match std::str::from_utf8(line) {
        // Without a length the error says that the last character is not all there.
        Err(error) if error.error_len().is_none() => error.valid_up_to().max(1),
        _ => line.len(),
    }
}

fn wanted(line: &LogMessage, request: &LogRequest) -> bool {
    request.since.is_none_or(|since| line.timestamp >= since)
        && request
            .instance
            .as_ref()
            .is_none_or(|instance| *instance == line.instance)
}

/// The last `tail` lines of each replica, in their order.
fn last_of_each(lines: Vec<LogMessage>, tail: Option<usize>) -> Vec<LogMessage> {
    let Some(tail) = tail else { return lines };
    let mut left: HashMap<String, usize> = HashMap::new();
    for line in &lines {
        *left.entry(line.instance.clone()).or_default() += 1;
    }
    let mut is_last = |line: &LogMessage| {
        let left = left.entry(line.instance.clone()).or_default();
        *left -= 1;
        *left < tail
    };
    lines.into_iter().filter(|line| is_last(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> LogBook {
        LogBook::new(FunctionName::new("f", "ns"))
    }

    async fn texts(book: &LogBook, request: LogRequest) -> Vec<String> {
        book.read(&request).map(|line| line.text).collect().await
    }

    #[tokio::test]
    async fn tail_counts_for_each_replica() {
        let book = book();
        for (instance, text) in [("a", "1"), ("b", "2"), ("a", "3"), ("b", "4"), ("a", "5")] {
            book.write(instance, text);
        }
        assert_eq!(
            texts(
                &book,
                LogRequest {
                    tail: Some(2),
                    ..Default::default()
                }
            )
            .await,
            ["2", "3", "4", "5"]
        );
        let of_a = LogRequest {
            instance: Some("a".into()),
            ..Default::default()
        };
        assert_eq!(texts(&book, of_a).await, ["1", "3", "5"]);
    }

    #[tokio::test]
    async fn a_follower_sees_past_and_future_once_until_the_function_is_gone() {
        let book = book();
        book.write("a", "past");
        let mut lines = book.read(&LogRequest {
            follow: true,
            ..Default::default()
        });
        book.write("a", "future");
        assert_eq!(lines.next().await.unwrap().text, "past");
        assert_eq!(lines.next().await.unwrap().text, "future");
        drop(book);
        assert!(lines.next().await.is_none());
    }

    #[tokio::test]
    async fn lines_come_whole_and_garbage_does_not_stop_them() {
        let book = book();
        let long = "x".repeat(LINE_BYTES + 3);
        let text = [b"one\n\n\xff\n".as_slice(), long.as_bytes(), b"\nlast"].concat();
        book.copy("a", text.as_slice()).await;
        let lines = texts(&book, LogRequest::default()).await;
        assert_eq!(lines[..3], ["one", "", "\u{fffd}"]);
        assert_eq!(
            (lines[3].len(), lines[4].as_str(), lines[5].as_str()),
            (LINE_BYTES, "xxx", "last")
        );
    }

    #[tokio::test]
    async fn a_line_that_is_cut_is_not_cut_within_a_character() {
        let book = book();
        let long = format!("x{}", "ä".repeat(LINE_BYTES / 2));
        book.copy("a", long.as_bytes()).await;
        assert_eq!(texts(&book, LogRequest::default()).await.concat(), long);
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded() {
        let book = book();
        for i in 0..KEPT_LINES + 10 {
            book.write("a", i.to_string());
        }
        assert_eq!(texts(&book, LogRequest::default()).await.len(), KEPT_LINES);
        for _ in 0..20 {
            book.write("a", "x".repeat(LINE_BYTES));
        }
        let bytes: usize = texts(&book, LogRequest::default())
            .await
            .iter()
            .map(String::len)
            .sum();
        assert!(bytes <= KEPT_BYTES, "{bytes}");
    }
}
