//! What is sent, how often, and for how long.

use std::time::Duration;

use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};

use crate::failure::{Failure, Outcome};

/// No machine sends more, and a slip of the finger must not ask for memory without end.
const HIGHEST_RATE: f64 = 1_000_000.0;

/// The load on each gateway.
#[derive(Clone, Debug)]
pub struct Load {
    /// Calls a second; above 0, at most a million.
    pub rate: f64,
    /// How long the calls that count are due, in all turns together.
    pub duration: Duration,
    /// How long the function is called before that, at the same rate, uncounted.
    pub warm_up: Duration,
    /// Connections, and so the calls that may be in flight; a call that finds all of them busy waits, and that counts.
    pub connections: usize,
    /// The longest wait for the last byte of an answer, from when its call was due.
    pub timeout: Duration,
    /// Of two gateways each is called in so many turns; one alone has a single turn.
    pub turns: u32,
    /// Method of every call.
    pub method: Method,
    /// What follows the function's name: nothing, or a path, or a query.
    pub path: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// Body of every call.
    pub body: Vec<u8>,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            rate: 100.0,
            duration: Duration::from_secs(30),
            warm_up: Duration::from_secs(3),
            connections: 64,
            timeout: Duration::from_secs(60),
            turns: 5,
            method: Method::POST,
            path: String::new(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }
}

impl Load {
    /// Whether such a load can be made.
    pub(super) fn check(&self) -> Outcome {
        let refuse = |expected: &str, got: String| Err(Failure::new(expected, got));
        if !(self.rate > 0.0 && self.rate <= HIGHEST_RATE) {
            return refuse("a rate above 0 and up to 1000000", self.rate.to_string());
        }
        if self.calls() == 0 {
            let got = format!(
                "{} s at {} a second",
                self.duration.as_secs_f64(),
                self.rate
            );
            return refuse("a duration in which a call is due", got);
        }
        if self.connections == 0 || self.turns == 0 {
            return refuse("at least one connection and one turn", "0".to_owned());
        }
        if !self.path.is_empty() && !self.path.starts_with(['/', '?']) {
            return refuse("a path that begins with / or ?", format!("{:?}", self.path));
        }
        for (name, value) in &self.headers {
            if HeaderName::try_from(name).is_err() || HeaderValue::try_from(value).is_err() {
                return refuse("a header", format!("{:?}", format!("{name}: {value}")));
            }
        }
        Ok(())
    }

    /// So many calls of each gateway count.
    pub(super) fn calls(&self) -> u64 {
        calls(self.rate, self.duration)
    }

    pub(super) fn warm_up_calls(&self) -> u64 {
        calls(self.rate, self.warm_up)
    }

    /// How the calls that count are shared out: as evenly as can be, none without any.
    pub(super) fn shares(&self, turns: u32) -> Vec<u64> {
        let (calls, turns) = (self.calls(), u64::from(turns));
        let turns = turns.clamp(1, calls.max(1));
        let share = |turn| calls / turns + u64::from(turn < calls % turns);
        (0..turns).map(share).collect()
    }
}

/// Rounded; what is too much for a number is cut.
fn calls(rate: f64, period: Duration) -> u64 {
    (rate * period.as_secs_f64()).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(rate: f64, seconds: f64) -> Load {
        Load {
            rate,
            duration: Duration::from_secs_f64(seconds),
            ..Load::default()
        }
    }

    #[test]
    fn calls_are_shared_out_evenly_and_none_is_lost() {
        assert_eq!(load(10.0, 2.3).shares(5), [5, 5, 5, 4, 4]);
        assert_eq!(load(1.0, 2.0).shares(5), [1, 1]);
        assert_eq!(load(0.5, 20.0).shares(1), [10]);
    }

    #[test]
    fn what_cannot_be_done_is_refused_in_words() {
        let header = |name: &str, value: &str| Load {
            headers: vec![(name.to_owned(), value.to_owned())],
            ..Load::default()
        };
        let path = |path: &str| Load {
            path: path.to_owned(),
            ..Load::default()
        };
        for (load, word) in [
            (load(0.0, 1.0), "rate"),
            (load(-1.0, 1.0), "rate"),
            (load(f64::NAN, 1.0), "rate"),
            (load(1e9, 1.0), "rate"),
            (load(0.1, 1.0), "duration"),
            (header("a b", "c"), "header"),
            (header("a", "b\nc"), "header"),
            (path("x"), "path"),
        ] {
            let refused = load.check().unwrap_err();
            assert!(refused.expected.contains(word), "{refused:?}");
        }
        for load in [
            load(0.1, 10.0),
            path("/a?b=c"),
            path("?b"),
            header("a", "b"),
        ] {
            assert!(load.check().is_ok());
        }
    }
}
