//! What is known of the hosts that callbacks go to: one that is dead must not hold up the others.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most callbacks to one host at once.
const MOST_AT_ONCE: usize = 10;
/// Failures in a row, after which a host is left alone for a while.
const MOST_FAILURES: u32 = 5;
const FIRST_REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_secs(60);
/// How long a failure counts.
const REMEMBERED: Duration = Duration::from_secs(180);

#[derive(Default)]
struct Host {
    posting: usize,
    failures: u32,
    rests_until: Option<Instant>,
    failed: Option<Instant>,
}

/// All hosts that something is being posted to, or that failed last.
#[derive(Default)]
pub(crate) struct Hosts(Mutex<HashMap<String, Host>>);

/// Whether something may be posted to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// It may.
    Given,
    /// Not now: as many as may are being posted.
    Busy,
    /// Not for so long: the last ones failed.
    Resting(Duration),
}

impl Hosts {
    /// Asks for a place; one that is given is given back with [`Hosts::posted`].
    pub(crate) fn ask(&self, name: &str, now: Instant) -> Leave {
        let mut hosts = self.lock();
        let host = hosts.entry(name.to_owned()).or_default();
        let rest = host.rests_until;
        let rest = rest.and_then(|until| until.checked_duration_since(now));
        // After a rest one callback finds out.
        let most = if host.failures >= MOST_FAILURES {
            1
        } else {
            MOST_AT_ONCE
        };
        if let Some(rest) = rest.filter(|rest| !rest.is_zero()) {
            Leave::Resting(rest)
        } else if host.posting >= most {
            Leave::Busy
        } else {
            host.posting += 1;
            Leave::Given
        }
    }

    /// Gives a place back: whether the callback got through.
    pub(crate) fn posted(&self, name: &str, well: bool, now: Instant) {
        let mut hosts = self.lock();
        let Some(host) = hosts.get_mut(name) else {
            return;
        };
        host.posting = host.posting.saturating_sub(1);
        // What was under way when the rest began says nothing new.
        let rests = host.rests_until.is_some_and(|until| now < until);
        if well {
            (host.failures, host.rests_until, host.failed) = (0, None, None);
        } else if !rests {
            host.failures = host.failures.saturating_add(1);
            host.failed = Some(now);
            if let Some(further) = host.failures.checked_sub(MOST_FAILURES) {
                let rest = FIRST_REST * 2u32.saturating_pow(further.min(8));
                host.rests_until = Some(now + rest.min(LONGEST_REST));
            }
        }
        hosts.retain(|_, host| {
            host.posting > 0 || host.failed.is_some_and(|at| at + REMEMBERED > now)
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Host>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_ten_places_and_they_come_back() {
        let (hosts, now) = (Hosts::default(), Instant::now());
        for _ in 0..MOST_AT_ONCE {
            assert_eq!(hosts.ask("a", now), Leave::Given);
        }
        assert_eq!(hosts.ask("a", now), Leave::Busy);
        assert_eq!(hosts.ask("b", now), Leave::Given);
        hosts.posted("a", true, now);
        assert_eq!(hosts.ask("a", now), Leave::Given);
    }

    #[test]
    fn a_host_that_fails_rests_and_one_callback_finds_out() {
        let (hosts, mut now) = (Hosts::default(), Instant::now());
        for _ in 0..MOST_AT_ONCE {
            assert_eq!(hosts.ask("a", now), Leave::Given);
        }
        (0..MOST_AT_ONCE).for_each(|_| hosts.posted("a", false, now));
        for rest in [5, 10, 20, 40, 60, 60] {
            let rest = Duration::from_secs(rest);
            assert_eq!(hosts.ask("a", now), Leave::Resting(rest));
            now += rest;
            assert_eq!(hosts.ask("a", now), Leave::Given, "after {rest:?}");
            assert_eq!(hosts.ask("a", now), Leave::Busy);
            hosts.posted("a", false, now);
        }
        now += LONGEST_REST;
        assert_eq!(hosts.ask("a", now), Leave::Given);
        hosts.posted("a", true, now);
        assert_eq!(hosts.ask("a", now), Leave::Given);
        assert_eq!(hosts.ask("a", now), Leave::Given);
    }
}
