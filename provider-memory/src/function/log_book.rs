//! The log of one function: the last lines of all its replicas, and those to come for whoever follows.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use faas_provider::{FunctionName, LogMessage, LogRequest, LogStream};
use futures_util::{StreamExt, stream};
use time::OffsetDateTime;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::broadcast;

/// Most lines kept of one function.
const KEPT_LINES: usize = 5_000;
/// Most bytes of text kept of one function.
const KEPT_BYTES: usize = 1024 * 1024;
/// Longest line; a longer one is told in pieces.
const LINE_BYTES: usize = 128 * 1024;
/// Lines that a slow follower may lag behind before it misses some.
const FOLLOWER_LAG: usize = 4_096;

/// The log of one function.
#[derive(Debug)]
pub(crate) struct LogBook {
    name: FunctionName,
    kept: Mutex<Kept>,
    live: broadcast::Sender<LogMessage>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<LogMessage>,
    bytes: usize,
}

impl LogBook {
    pub(crate) fn new(name: FunctionName) -> Self {
        Self { name, kept: Mutex::default(), live: broadcast::Sender::new(FOLLOWER_LAG) }
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
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += line.text.len();
        kept.lines.push_back(line.clone());
        while kept.lines.len() > KEPT_LINES || (kept.bytes > KEPT_BYTES && kept.lines.len() > 1) {
            kept.bytes -= kept.lines.pop_front().map_or(0, |line| line.text.len());
        }
        // Under the lock, so that a follower neither misses a line nor sees one twice.
        let _ = self.live.send(line);
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
                self.write(instance, String::from_utf8_lossy(&line));
                line.clear();
            }
        }
        if !line.is_empty() {
            self.write(instance, String::from_utf8_lossy(&line));
        }
    }

    /// The lines asked for; `tail` counts for each replica.
    pub(crate) fn read(&self, request: &LogRequest) -> LogStream {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let live = self.live.subscribe();
        let lines: Vec<LogMessage> = kept.lines.iter().filter(|line| wanted(line, request)).cloned().collect();
        drop(kept);
        let past = stream::iter(last_of_each(lines, request.tail));
        if !request.follow {
            return past.boxed();
        }
        let request = request.clone();
        let future = stream::unfold(live, |mut live| async move { Some((next(&mut live).await?, live)) });
        past.chain(future.filter(move |line| std::future::ready(wanted(line, &request)))).boxed()
    }
}

/// The next line; a follower that lagged goes on with the oldest that is left. `None` when the function is gone.
async fn next(live: &mut broadcast::Receiver<LogMessage>) -> Option<LogMessage> {
    loop {
        match live.recv().await {
            Ok(line) => return Some(line),
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}

fn wanted(line: &LogMessage, request: &LogRequest) -> bool {
    request.since.is_none_or(|since| line.timestamp >= since)
        && request.instance.as_ref().is_none_or(|instance| *instance == line.instance)
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
        assert_eq!(texts(&book, LogRequest { tail: Some(2), ..Default::default() }).await, ["2", "3", "4", "5"]);
        let of_a = LogRequest { instance: Some("a".into()), ..Default::default() };
        assert_eq!(texts(&book, of_a).await, ["1", "3", "5"]);
    }

    #[tokio::test]
    async fn a_follower_sees_past_and_future_once_until_the_function_is_gone() {
        let book = book();
        book.write("a", "past");
        let mut lines = book.read(&LogRequest { follow: true, ..Default::default() });
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
        assert_eq!((lines[3].len(), lines[4].as_str(), lines[5].as_str()), (LINE_BYTES, "xxx", "last"));
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
        let bytes: usize = texts(&book, LogRequest::default()).await.iter().map(String::len).sum();
        assert!(bytes <= KEPT_BYTES, "{bytes}");
    }
}
