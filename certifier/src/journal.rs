//! Everything one check has sent and received, for the case that it fails.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The first so many exchanges are kept: they set the scene.
const FIRST: usize = 12;

/// And so many of the last: they show the end.
const LAST: usize = 12;

/// One request and what came of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Since the check began.
    pub at: Duration,
    /// The request, as text.
    pub sent: String,
    /// The answer, as text, or why there was none.
    pub received: String,
    /// From the first byte of the request to the last of the answer.
    pub took: Duration,
}

/// The exchanges of a check, in the order in which they ended.
#[derive(Clone)]
pub(crate) struct Journal {
    began: Instant,
    pages: Arc<Mutex<Pages>>,
}

#[derive(Default)]
struct Pages {
    first: Vec<Exchange>,
    last: VecDeque<Exchange>,
    left_out: usize,
}

impl Journal {
    pub(crate) fn begin() -> Self {
        Self {
            began: Instant::now(),
            pages: Arc::default(),
        }
    }

    pub(crate) fn write(&self, sent: String, received: String, took: Duration) {
        let at = self.began.elapsed().saturating_sub(took);
        let exchange = Exchange {
            at,
            sent,
            received,
            took,
        };
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.first.len() < FIRST {
            return pages.first.push(exchange);
        }
        pages.last.push_back(exchange);
        if pages.last.len() > LAST {
            pages.last.pop_front();
            pages.left_out += 1;
        }
    }

    /// All that was kept, and how many in the middle were not.
    pub(crate) fn read(&self) -> (Vec<Exchange>, usize) {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = pages.first.iter().chain(&pages.last).cloned();
        (kept.collect(), pages.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_long_story_is_left_out_and_counted() {
        let journal = Journal::begin();
        for number in 0..100 {
            journal.write(number.to_string(), String::new(), Duration::ZERO);
        }
        let (kept, left_out) = journal.read();
        assert_eq!(kept.len() + left_out, 100);
        assert_eq!(kept[FIRST - 1].sent, (FIRST - 1).to_string());
        assert_eq!(kept[FIRST].sent, (100 - LAST).to_string());
    }
}
