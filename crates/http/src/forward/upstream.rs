//! Whom a call can be forwarded to, and which of several.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::{Duration, Instant};

use http::uri::Authority;

/// How long an upstream that could not be reached is passed over.
const EJECTION: Duration = Duration::from_secs(2);

/// One process that answers calls: its address, how busy it is, and whether it was reachable lately.
///
/// Shared by everybody who forwards to it in this process, so that all see the same load.
pub struct Upstream {
    id: String,
    authority: Authority,
    prefix: String,
    in_flight: AtomicUsize,
    /// Milliseconds after `known_since` until which it is passed over; 0 for not at all.
    ejected_until: AtomicU64,
    known_since: Instant,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}{}", self.id, self.authority, self.prefix)
    }
}

impl Upstream {
    /// An upstream at `host:port`. The `id` tells it apart from its siblings.
    #[must_use]
    pub fn new(id: impl Into<String>, authority: Authority) -> Arc<Self> {
        Self::below(id, authority, "")
    }

    /// An upstream whose paths all start with `prefix` (no slash at its end).
    #[must_use]
    pub fn below(
        id: impl Into<String>,
        authority: Authority,
        prefix: impl Into<String>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id: id.into(),
            authority,
            prefix: prefix.into(),
            in_flight: AtomicUsize::new(0),
            ejected_until: AtomicU64::new(0),
            known_since: Instant::now(),
        })
    }

    /// What tells it apart from its siblings.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it listens.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What `Host` says where it is the upstream's: the port of the scheme is left out.
    pub(super) fn host(&self) -> &str {
        match self.authority.port_u16() {
            Some(80) => self.authority.host(),
            _ => self.authority.as_str(),
        }
    }

    /// What all its paths start with; empty for most.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Calls that it is answering now, bodies included.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }

    /// Counts a call until the guard is dropped, if there are so many as yet.
    fn enter_as(self: &Arc<Self>, calls: usize) -> Option<InFlight> {
        self.in_flight
            .compare_exchange(calls, calls + 1, Relaxed, Relaxed)
            .ok()?;
        Some(InFlight(Arc::clone(self)))
    }

    /// Passes it over for a while.
    pub(super) fn eject(&self) {
        self.ejected_until
            .store(self.age_millis() + millis(EJECTION), Relaxed);
    }

    fn is_ejected(&self) -> bool {
        let until = self.ejected_until.load(Relaxed);
        until != 0 && self.age_millis() < until
    }

    fn age_millis(&self) -> u64 {
        millis(self.known_since.elapsed())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One call in flight.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Upstream>);

impl InFlight {
    /// Who answers it.
    pub(super) fn upstream(&self) -> &Upstream {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// Counts a call at the least busy upstream, without those `tried` already; one of the least busy at random. Ejected ones only
/// if no other is left.
///
/// Looked at and counted in one step: of calls that come together none finds a place that another has taken, so that upstreams
/// with a limit each have as many as they take and no more.
pub(super) fn enter<'a>(
    upstreams: &'a [Arc<Upstream>],
    tried: &[Arc<Upstream>],
) -> Option<(&'a Arc<Upstream>, InFlight)> {
    let fresh = |upstream: &&Arc<Upstream>| !tried.iter().any(|other| Arc::ptr_eq(upstream, other));
    let reachable = |upstream: &&Arc<Upstream>| fresh(upstream) && !upstream.is_ejected();
    loop {
        let (upstream, calls) =
            least_busy(upstreams, reachable).or_else(|| least_busy(upstreams, fresh))?;
        if let Some(call) = upstream.enter_as(calls) {
            return Some((upstream, call));
        }
    }
}

/// The upstream with the fewest calls, and how many.
fn least_busy(
    upstreams: &[Arc<Upstream>],
    eligible: impl Fn(&&Arc<Upstream>) -> bool,
) -> Option<(&Arc<Upstream>, usize)> {
    let mut found: Option<(&Arc<Upstream>, usize)> = None;
    let mut equals = 0;
    for upstream in upstreams.iter().filter(eligible) {
        let calls = upstream.in_flight();
        let least = found.map_or(usize::MAX, |(_, least)| least);
        equals = match calls.cmp(&least) {
            Ordering::Less => 1,
            Ordering::Equal => equals + 1,
            Ordering::Greater => continue,
        };
        // Each of the equals with the same chance.
        if fastrand::usize(..equals) == 0 {
            found = Some((upstream, calls));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstreams(count: usize) -> Vec<Arc<Upstream>> {
        (0..count)
            .map(|i| Upstream::new(i.to_string(), Authority::from_static("127.0.0.1:1")))
            .collect()
    }

    #[test]
    fn the_least_busy_is_taken() {
        let three = upstreams(3);
        let _busy = [0, 2].map(|busy| three[busy].enter_as(0).unwrap());
        for _ in 0..20 {
            assert_eq!(enter(&three, &[]).unwrap().0.id(), "1");
        }
    }

    #[test]
    fn calls_that_come_together_spread_to_the_last_one() {
        let four = upstreams(4);
        let come = || {
            let calls = (0..100).map(|_| enter(&four, &[]).unwrap().1);
            calls.collect::<Vec<_>>()
        };
        let calls: Vec<_> = std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(come));
            threads.map(|thread| thread.join().unwrap()).into()
        });
        let each: Vec<_> = four.iter().map(|upstream| upstream.in_flight()).collect();
        assert_eq!(each, [100; 4]);
        drop(calls);
        assert!(four.iter().all(|upstream| upstream.in_flight() == 0));
    }

    #[test]
    fn equals_are_drawn_at_random() {
        let four = upstreams(4);
        let mut taken = [0; 4];
        for _ in 0..400 {
            let id = enter(&four, &[]).unwrap().0.id();
            taken[id.parse::<usize>().unwrap()] += 1;
        }
        assert!(
            taken.iter().all(|count| (60..=140).contains(count)),
            "{taken:?}"
        );
    }

    #[test]
    fn ejected_ones_are_the_last_resort_and_tried_ones_none() {
        let two = upstreams(2);
        two[0].eject();
        assert_eq!(enter(&two, &[]).unwrap().0.id(), "1");
        assert_eq!(enter(&two, &two[1..]).unwrap().0.id(), "0");
        assert!(enter(&two, &two).is_none());
        assert!(enter(&[], &[]).is_none());
    }
}
