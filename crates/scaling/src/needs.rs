//! The highest need of a while, to which replicas are taken down.

use std::collections::VecDeque;
use std::time::Duration;

/// Needs as they were, of which those are kept that can still be the highest. `now` is any clock that goes only forward.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Falling numbers, from the earliest to the latest.
    highest: VecDeque<(Duration, u64)>,
}

impl Needs {
    /// Remembers that so many replicas were needed at this moment. What is older than `window` is forgotten.
    pub fn remember(&mut self, now: Duration, replicas: u64, window: Duration) {
        while self
            .highest
            .back()
            .is_some_and(|(_, need)| *need <= replicas)
        {
            self.highest.pop_back();
        }
        self.highest.push_back((now, replicas));
        while self
            .highest
            .front()
            .is_some_and(|(at, _)| *at + window < now)
        {
            self.highest.pop_front();
        }
    }

    /// The most that were needed less than `window` ago.
    #[must_use]
    pub fn highest(&self, now: Duration, window: Duration) -> Option<u64> {
        let recent = |at: &Duration| *at + window > now;
        let mut needs = self.highest.iter().filter(|(at, _)| recent(at));
        needs.next().map(|(_, replicas)| *replicas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    fn highest(needs: &[(u64, u64)], now: u64) -> Option<u64> {
        let mut kept = Needs::default();
        for (at, replicas) in needs {
            kept.remember(Duration::from_secs(*at), *replicas, WINDOW);
        }
        kept.highest(Duration::from_secs(now), WINDOW)
    }

    #[test]
    fn the_highest_of_the_window_counts_and_no_longer() {
        let needs = [(0, 8), (2, 8), (4, 7), (6, 4), (8, 5), (10, 5)];
        assert_eq!(highest(&needs, 10), Some(8));
        assert_eq!(highest(&needs, 61), Some(8));
        assert_eq!(highest(&needs, 62), Some(7));
        assert_eq!(highest(&needs, 64), Some(5));
        assert_eq!(highest(&needs, 70), None);
    }

    #[test]
    fn a_need_that_stays_takes_no_room() {
        let mut kept = Needs::default();
        for second in 0..10_000 {
            kept.remember(Duration::from_secs(second), 3, WINDOW);
        }
        assert_eq!(kept.highest.len(), 1);
        for second in 0..1000 {
            kept.remember(Duration::from_secs(10_000 + second), 5000 - second, WINDOW);
        }
        assert!(kept.highest.len() <= 62, "{}", kept.highest.len());
    }
}
