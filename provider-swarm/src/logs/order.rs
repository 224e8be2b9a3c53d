//! Lines of several tasks in the order of their times, within bounds: the engine gives them task by task.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use faas_provider::LogMessage;
use time::OffsetDateTime;

/// Most lines and bytes of text that are held back to be ordered. A log that is longer is told all the same, in the order
/// that this allows.
const MOST_LINES: usize = 20_000;
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Lines that wait for older ones.
#[derive(Default)]
pub(crate) struct Order {
    heap: BinaryHeap<Reverse<Waiting>>,
    bytes: usize,
    count: u64,
}

impl Order {
    /// Adds a line.
    pub(crate) fn push(&mut self, line: LogMessage) {
        self.bytes += line.text.len();
        self.count += 1;
        let number = self.count;
        self.heap.push(Reverse(Waiting { number, line }));
    }

    /// The oldest line, if there is no room for all.
    pub(crate) fn overflow(&mut self) -> Option<LogMessage> {
        let full = self.heap.len() > MOST_LINES || self.bytes > MOST_BYTES;
        if full { self.pop() } else { None }
    }

    /// The oldest line.
    pub(crate) fn pop(&mut self) -> Option<LogMessage> {
        let Reverse(oldest) = self.heap.pop()?;
        self.bytes -= oldest.line.text.len();
        Some(oldest.line)
    }
}

/// A line; of one time, the one that came first is older.
struct Waiting {
    number: u64,
    line: LogMessage,
}

impl Waiting {
    fn key(&self) -> (OffsetDateTime, u64) {
        (self.line.timestamp, self.number)
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seconds: i64, text: impl Into<String>) -> LogMessage {
        LogMessage {
            name: String::new(),
            namespace: String::new(),
            instance: String::new(),
            timestamp: OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(seconds),
            text: text.into(),
        }
    }

    #[test]
    fn by_time_and_then_as_they_came() {
        let mut order = Order::default();
        for (seconds, text) in [(3, "d"), (1, "a"), (2, "b"), (2, "c")] {
            order.push(line(seconds, text));
            assert!(order.overflow().is_none());
        }
        let texts: Vec<String> = std::iter::from_fn(|| order.pop())
            .map(|line| line.text)
            .collect();
        assert_eq!(texts, ["a", "b", "c", "d"]);
    }

    #[test]
    fn what_is_held_back_is_bounded_and_nothing_is_lost() {
        let mut order = Order::default();
        let mut told = 0;
        let small = 3 * MOST_LINES;
        for text in std::iter::repeat_n("x".to_owned(), small)
            .chain(std::iter::repeat_n("x".repeat(MOST_BYTES / 4), 20))
        {
            order.push(line(0, text));
            while order.overflow().is_some() {
                told += 1;
            }
            assert!(order.heap.len() <= MOST_LINES && order.bytes <= MOST_BYTES);
        }
        assert_eq!(told + order.heap.len(), small + 20);
    }
}
