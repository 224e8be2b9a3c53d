//! What gateways that scale together know of each other: the sum of what they measure, and who is still there.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::load::Second;

/// Silence after which a gateway is believed to be gone.
pub const SILENCE: Duration = Duration::from_secs(3);
/// Most gateways that are listened to.
const MOST: usize = 256;

/// What a gateway says of a function.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report {
    /// What the second brought that has just ended; none where it is told between two of them.
    pub second: Option<Second>,
    /// Calls that wait or are in flight.
    pub calls: u64,
    /// How long ago a call began or ended last, if one has.
    pub idle: Option<Duration>,
}

/// The other gateways. `now` is any clock that goes only forward.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    peers: BTreeMap<String, Peer>,
    /// When a function was used last, by gateways that are gone too.
    used: HashMap<String, Duration>,
    /// Until when it is not known what they did.
    unknown: Option<Duration>,
}

#[derive(Clone, Debug, Default)]
struct Peer {
    heard: Duration,
    functions: HashMap<String, Told>,
}

/// What one gateway has told of one function.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    heard: Duration,
    calls: u64,
    /// The sum of the seconds that were told since somebody asked, and how many they are.
    sum: Second,
    seconds: u32,
    /// That of the last second.
    concurrency: f64,
}

impl Peers {
    /// Listens to a gateway. One that is heard for the first time, or again after a silence, counts as having used every
    /// function until now.
    pub fn hear<'a>(
        &mut self,
        now: Duration,
        gateway: &str,
        reports: impl IntoIterator<Item = (&'a str, Report)>,
    ) {
        self.peers.retain(|_, peer| peer.is_there(now));
        if !self.peers.contains_key(gateway) {
            self.lose_touch(now);
            if self.peers.len() == MOST {
                return;
            }
        }
        let peer = self.peers.entry(gateway.to_owned()).or_default();
        peer.heard = now;
        for (function, report) in reports {
            let told = match peer.functions.get_mut(function) {
                Some(told) => told,
                None => peer.functions.entry(function.to_owned()).or_default(),
            };
            told.hear(now, report);
            let used = match (report.calls, report.idle) {
                (0, None) => continue,
                (0, Some(idle)) => now.saturating_sub(idle),
                _ => now,
            };
            match self.used.get_mut(function) {
                Some(last) => *last = used.max(*last),
                None => drop(self.used.insert(function.to_owned(), used)),
            }
        }
        // It tells of every function that has calls, each time.
        peer.functions
            .retain(|_, told| now.saturating_sub(told.heard) < SILENCE);
    }

    /// Nobody can be heard at this moment: they may be using every function.
    pub fn lose_touch(&mut self, now: Duration) {
        self.unknown = Some(now);
    }

    /// Takes leave of a gateway that has said that it ends.
    pub fn leave(&mut self, gateway: &str) {
        self.peers.remove(gateway);
    }

    /// Gateways that were heard less than [`SILENCE`] ago.
    pub fn there(&self, now: Duration) -> impl Iterator<Item = &str> {
        let there = self
            .peers
            .iter()
            .filter(move |(_, peer)| peer.is_there(now));
        there.map(|(gateway, _)| gateway.as_str())
    }

    /// What a second brought to a function at all of them together: to be asked once a second. Of one whose word is late its
    /// last concurrency counts.
    pub fn second(&mut self, now: Duration, function: &str) -> Second {
        let there = self.peers.values_mut().filter(|peer| peer.is_there(now));
        let told = there.filter_map(|peer| peer.functions.get_mut(function));
        told.map(Told::take).fold(Second::default(), Second::plus)
    }

    /// Calls of a function that wait or are in flight, at all of them together.
    #[must_use]
    pub fn calls(&self, now: Duration, function: &str) -> u64 {
        let there = self.peers.values().filter(|peer| peer.is_there(now));
        let told = there.filter_map(|peer| peer.functions.get(function));
        told.map(|told| told.calls).sum()
    }

    /// When a function was used last at any of them, as far as anybody knows.
    #[must_use]
    pub fn used(&self, function: &str) -> Option<Duration> {
        self.used.get(function).copied().max(self.unknown)
    }

    /// Forgets functions that are gone.
    pub fn keep(&mut self, exists: impl Fn(&str) -> bool) {
        self.used.retain(|function, _| exists(function));
    }
}

impl Peer {
    fn is_there(&self, now: Duration) -> bool {
        now.saturating_sub(self.heard) < SILENCE
    }
}

impl Told {
    fn hear(&mut self, now: Duration, report: Report) {
        (self.heard, self.calls) = (now, report.calls);
        if let Some(second) = report.second {
            self.sum = self.sum.plus(second);
            self.seconds += 1;
            self.concurrency = second.concurrency;
        }
    }

    /// What was told since it was asked last. Calls of two seconds count both, or one would be lost.
    fn take(&mut self) -> Second {
        let sum = std::mem::take(&mut self.sum);
        let concurrency = match std::mem::take(&mut self.seconds) {
            0 => self.concurrency,
            seconds => sum.concurrency / f64::from(seconds),
        };
        Second { concurrency, ..sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn busy(arrivals: u64, concurrency: f64, calls: u64) -> Report {
        let second = Second {
            arrivals,
            succeeded: arrivals,
            concurrency,
        };
        Report {
            second: Some(second),
            calls,
            idle: Some(Duration::ZERO),
        }
    }

    fn idle(millis: u64) -> Report {
        Report {
            idle: Some(at(millis)),
            ..busy(0, 0.0, 0)
        }
    }

    fn seconds(peers: &mut Peers, now: u64) -> (u64, f64) {
        let second = peers.second(at(now), "f");
        assert_eq!(second.arrivals, second.succeeded);
        (second.arrivals, second.concurrency)
    }

    #[test]
    fn what_gateways_measure_is_added_up() {
        let mut peers = Peers::default();
        peers.hear(
            at(1000),
            "a",
            [("f", busy(10, 2.5, 3)), ("g", busy(99, 9.0, 9))],
        );
        peers.hear(at(1300), "b", [("f", busy(5, 0.5, 1))]);
        assert_eq!(seconds(&mut peers, 1500), (15, 3.0));
        assert_eq!(peers.calls(at(1500), "f"), 4);
        assert_eq!(peers.calls(at(1500), "h"), 0);
        assert_eq!(peers.there(at(1500)).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn calls_count_once_and_late_words_are_bridged() {
        let mut peers = Peers::default();
        peers.hear(at(1000), "a", [("f", busy(10, 2.0, 3))]);
        assert_eq!(seconds(&mut peers, 1500), (10, 2.0));
        // Nothing came in this second; two in the next.
        assert_eq!(seconds(&mut peers, 2500), (0, 2.0));
        peers.hear(at(2600), "a", [("f", busy(10, 2.0, 3))]);
        peers.hear(at(3400), "a", [("f", busy(20, 4.0, 3))]);
        assert_eq!(seconds(&mut peers, 3500), (30, 3.0));
    }

    #[test]
    fn a_word_between_two_seconds_tells_of_calls_and_of_no_load() {
        let mut peers = Peers::default();
        let now = Report {
            second: None,
            calls: 7,
            idle: Some(Duration::ZERO),
        };
        peers.hear(at(1000), "a", [("f", now)]);
        assert_eq!(peers.calls(at(1000), "f"), 7);
        assert_eq!(seconds(&mut peers, 1500), (0, 0.0));
    }

    #[test]
    fn who_falls_silent_has_no_calls_any_more_but_had_them_until_then() {
        let mut peers = Peers::default();
        peers.hear(at(1000), "a", [("f", busy(10, 2.0, 3))]);
        peers.hear(at(5000), "a", [("f", busy(10, 2.0, 3))]);
        assert_eq!(peers.calls(at(7999), "f"), 3);
        assert_eq!(seconds(&mut peers, 7999), (10, 2.0));
        assert_eq!(peers.calls(at(8000), "f"), 0);
        assert_eq!(seconds(&mut peers, 8000), (0, 0.0));
        assert_eq!(peers.there(at(8000)).count(), 0);
        assert_eq!(peers.used("f"), Some(at(5000)));
    }

    #[test]
    fn the_last_use_is_the_latest_of_all() {
        let mut peers = Peers::default();
        assert_eq!(peers.used("f"), None);
        for now in 10..=60 {
            peers.hear(at(now * 1000), "a", [("f", idle(now * 1000 - 9000))]);
            peers.hear(at(now * 1000), "b", [("f", idle(now * 1000 - 8000))]);
        }
        // What they did before they were heard is not known.
        assert_eq!(peers.used("f"), Some(at(10_000)));
        peers.hear(at(61_000), "a", [("f", idle(500))]);
        assert_eq!(peers.used("f"), Some(at(60_500)));
        assert_eq!(peers.used("g"), Some(at(10_000)));
        peers.leave("a");
        assert_eq!(peers.used("f"), Some(at(60_500)));
        peers.keep(|function| function != "f");
        assert_eq!(peers.used("f"), Some(at(10_000)));
    }

    #[test]
    fn who_is_heard_again_after_a_silence_may_have_done_anything() {
        let mut peers = Peers::default();
        peers.hear(at(1000), "a", [("f", busy(10, 2.0, 3))]);
        peers.hear(at(3999), "a", [("f", idle(2000))]);
        assert_eq!(peers.used("g"), Some(at(1000)));
        peers.hear(at(7000), "a", []);
        assert_eq!(peers.used("g"), Some(at(7000)));
        assert_eq!(peers.calls(at(7000), "f"), 0);
        peers.lose_touch(at(8000));
        assert_eq!(peers.used("g"), Some(at(8000)));
    }

    #[test]
    fn who_leaves_takes_its_calls_along_and_functions_not_told_of_have_none() {
        let mut peers = Peers::default();
        peers.hear(at(1000), "a", [("f", busy(1, 1.0, 1))]);
        peers.hear(at(1000), "b", [("f", busy(1, 1.0, 1))]);
        peers.leave("a");
        assert_eq!(peers.calls(at(1000), "f"), 1);
        for now in [2000, 3000, 4000] {
            peers.hear(at(now), "b", []);
        }
        assert_eq!(peers.calls(at(4000), "f"), 0);
        assert_eq!(peers.there(at(4000)).count(), 1);
    }

    #[test]
    fn a_flood_of_gateways_is_not_listened_to() {
        let mut peers = Peers::default();
        for number in 0..2 * MOST {
            peers.hear(at(1000), &number.to_string(), []);
        }
        assert_eq!(peers.there(at(1000)).count(), MOST);
    }
}
