//! Whom a call can be forwarded to, and which of several.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a call until the guard is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// Passes it over for a while.
    pub(super) fn eject(&self) {
        self.ejected_until
            .store(self.age_millis() + millis(EJECTION), Ordering::Relaxed);
    }

    fn is_ejected(&self) -> bool {
        let until = self.ejected_until.load(Ordering::Relaxed);
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
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The less busy of two upstreams drawn at random, without those `tried` already. Ejected ones only if no other is left.
pub(super) fn choose<'a>(
    upstreams: &'a [Arc<Upstream>],
    tried: &[Arc<Upstream>],
) -> Option<&'a Arc<Upstream>> {
    let fresh = |upstream: &&Arc<Upstream>| !tried.iter().any(|other| Arc::ptr_eq(upstream, other));
    let reachable = |upstream: &&Arc<Upstream>| fresh(upstream) && !upstream.is_ejected();
    draw(upstreams, reachable).or_else(|| draw(upstreams, fresh))
}

fn draw(
    upstreams: &[Arc<Upstream>],
    eligible: impl Fn(&&Arc<Upstream>) -> bool,
) -> Option<&Arc<Upstream>> {
    let count = upstreams.iter().filter(&eligible).count();
    let nth = |n: usize| upstreams.iter().filter(&eligible).nth(n);
    if count < 2 {
        return nth(0);
    }
    let first = fastrand::usize(..count);
    // The second draw is from the others, so that two are always compared.
    let second = (first + fastrand::usize(1..count)) % count;
    let (first, second) = (nth(first)?, nth(second)?);
    Some(if second.in_flight() < first.in_flight() {
        second
    } else {
        first
    })
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
    fn the_less_busy_of_two_is_taken() {
        let two = upstreams(2);
        let _busy = two[0].enter();
        for _ in 0..20 {
            assert_eq!(choose(&two, &[]).unwrap().id(), "1");
        }
    }

    #[test]
    fn load_spreads_evenly_over_four() {
        let four = upstreams(4);
        let calls: Vec<InFlight> = (0..400)
            .map(|_| choose(&four, &[]).unwrap().enter())
            .collect();
        for upstream in &four {
            assert!(
                (80..=120).contains(&upstream.in_flight()),
                "{upstream:?}: {}",
                upstream.in_flight()
            );
        }
        drop(calls);
        assert!(four.iter().all(|upstream| upstream.in_flight() == 0));
    }

    #[test]
    fn ejected_ones_are_the_last_resort_and_tried_ones_none() {
        let two = upstreams(2);
        two[0].eject();
        assert_eq!(choose(&two, &[]).unwrap().id(), "1");
        assert_eq!(choose(&two, &two[1..]).unwrap().id(), "0");
        assert!(choose(&two, &two).is_none());
        assert!(choose(&[], &[]).is_none());
    }
}
