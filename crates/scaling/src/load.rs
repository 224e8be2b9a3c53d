//! The load of a function, second by second.

use std::collections::VecDeque;

/// Seconds that are kept: as long as the longest down-window.
const KEPT: usize = 300;

/// What one second brought.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Second {
    /// Calls that came, those that have to wait included.
    pub arrivals: u64,
    /// Calls that waited or were in flight, on average over the second.
    pub concurrency: f64,
    /// Calls that ended with status 200.
    pub succeeded: u64,
}

impl Second {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            arrivals: self.arrivals.saturating_add(other.arrivals),
            concurrency: self.concurrency + other.concurrency,
            succeeded: self.succeeded.saturating_add(other.succeeded),
        }
    }
}

/// The seconds up to now. Bounded: older ones than the last 300 are forgotten, and a function without calls takes no room.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// How many seconds were measured, at most those that are kept.
    age: usize,
    /// Those from the first that brought anything on, the latest last.
    seconds: VecDeque<Second>,
}

impl Load {
    /// Adds the second that has just ended. Every second is added, those without calls too.
    pub fn push(&mut self, second: Second) {
        self.age = (self.age + 1).min(KEPT);
        self.seconds.push_back(second);
        let idle = |second: &Second| *second == Second::default();
        while self.seconds.len() > KEPT || self.seconds.front().is_some_and(idle) {
            self.seconds.pop_front();
        }
    }

    /// The average of the last `window` seconds, or of as many as there are; 0 where there are none.
    pub fn average(&self, window: usize, of: impl Fn(&Second) -> f64) -> f64 {
        let count = window.min(self.age);
        let sum: f64 = self.seconds.iter().rev().take(count).map(of).sum();
        sum / count.max(1) as f64
    }

    /// Calls with status 200 a second over ten seconds, as they were `ago` seconds before now.
    ///
    /// Compat: the window of AlertManager's rule, whose rates begin at nothing.
    #[must_use]
    pub fn success_rate(&self, ago: usize) -> f64 {
        let last_ten = self.seconds.iter().rev().skip(ago).take(10);
        last_ten.map(|second| second.succeeded).sum::<u64>() as f64 / 10.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(second: &Second) -> f64 {
        second.arrivals as f64
    }

    fn load(each: &[u64]) -> Load {
        let mut load = Load::default();
        for count in each {
            load.push(Second {
                arrivals: *count,
                succeeded: *count,
                ..Second::default()
            });
        }
        load
    }

    #[test]
    fn an_average_is_over_what_is_there() {
        assert_eq!(load(&[]).average(6, arrivals), 0.0);
        assert_eq!(load(&[100, 100]).average(6, arrivals), 100.0);
        assert_eq!(load(&[9, 1, 1, 1, 1, 100, 100]).average(6, arrivals), 34.0);
    }

    #[test]
    fn the_rate_of_the_rule_is_over_ten_seconds_whatever_is_there() {
        let load = load(&[100, 0, 0]);
        assert_eq!(load.success_rate(0), 10.0);
        assert_eq!(load.success_rate(2), 10.0);
        assert_eq!(load.success_rate(3), 0.0);
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let mut load = load(&[1_000_000]);
        for _ in 0..KEPT {
            load.push(Second::default());
        }
        assert_eq!(load.average(KEPT + 1, arrivals), 0.0);
        assert_eq!((load.age, load.seconds.len()), (KEPT, 0));
        load.push(Second {
            arrivals: 60,
            ..Second::default()
        });
        // The seconds without calls count all the same.
        assert_eq!(load.average(6, arrivals), 10.0);
    }
}
