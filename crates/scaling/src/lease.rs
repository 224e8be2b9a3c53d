//! Who decides, of several gateways: the one that holds a lease, written where all see it, over what was there before and
//! nothing else.
//!
//! A holder counts from the moment at which it *sent* a renewal, everybody else from the one at which they *saw* it. So,
//! whatever clocks and networks do, the holder has stopped when another one begins, as long as all clocks go about as fast.

use std::time::Duration;

/// How often the lease is renewed.
pub const RENEWAL: Duration = Duration::from_secs(2);
/// How long a lease that is not renewed keeps others away.
pub const EXPIRY: Duration = Duration::from_secs(10);
/// How long its holder goes by it: less, for what is under way when it ends.
pub const HOLDS: Duration = Duration::from_secs(8);

/// What is written: its revision, and the holder's name, empty where it was given back.
pub type Written<'a> = Option<(u64, &'a str)>;

/// What a gateway has to do about decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It decides, by what all measure.
    Leads,
    /// Somebody else does, or soon will.
    Follows,
    /// It does not know: it gives functions what its own calls need, and takes nothing away.
    CutOff,
}

/// The lease, as one gateway knows it. `now` is any clock that goes only forward, 0 when the gateway began.
#[derive(Clone, Debug)]
pub struct Lease {
    gateway: String,
    /// When a renewal was sent last that was written.
    renewed: Option<Duration>,
    /// What was seen last that was somebody else's, and since when.
    seen: Option<Seen>,
    /// When it was looked at last.
    looked: Duration,
}

#[derive(Clone, Debug)]
struct Seen {
    revision: u64,
    holder: String,
    since: Duration,
}

impl Lease {
    /// Nothing is known yet.
    #[must_use]
    pub fn of(gateway: &str) -> Self {
        Self {
            gateway: gateway.to_owned(),
            renewed: None,
            seen: None,
            looked: Duration::ZERO,
        }
    }

    /// Takes notice of what is written. Gives the revision (0 is none) over which this gateway is to write itself, if it is to.
    pub fn saw(&mut self, now: Duration, written: Written<'_>) -> Option<u64> {
        self.looked = now;
        match written {
            Some((revision, holder)) if holder == self.gateway => {
                let due = |sent: Duration| now.saturating_sub(sent) >= RENEWAL;
                self.renewed.is_none_or(due).then_some(revision)
            }
            Some((revision, "")) => {
                (self.renewed, self.seen) = (None, None);
                Some(revision)
            }
            Some((revision, holder)) => {
                self.renewed = None;
                self.saw_another(now, revision, holder)
            }
            // Whoever held it when it was lost does not know yet.
            None if self.renewed.is_some() => Some(0),
            None => self.is_over(now).then_some(0),
        }
    }

    fn saw_another(&mut self, now: Duration, revision: u64, holder: &str) -> Option<u64> {
        let is_known = |seen: &Seen| seen.revision == revision && seen.holder == holder;
        if !self.seen.as_ref().is_some_and(is_known) {
            self.seen = Some(Seen {
                revision,
                holder: holder.to_owned(),
                since: now,
            });
        }
        self.is_over(now).then_some(revision)
    }

    /// Whether the lease that was seen last keeps nobody away any more.
    fn is_over(&self, now: Duration) -> bool {
        let over = |seen: &Seen| now.saturating_sub(seen.since) >= EXPIRY;
        self.seen.as_ref().is_none_or(over)
    }

    /// What was sent at `sent` is written. Whether this is a lease that it did not have just before.
    pub fn wrote(&mut self, sent: Duration) -> bool {
        let held = |renewed: Duration| sent.saturating_sub(renewed) < HOLDS;
        let is_new = !self.renewed.is_some_and(held);
        (self.renewed, self.seen) = (Some(sent), None);
        is_new
    }

    /// Somebody else has written first, or the lease was given back.
    pub fn lost(&mut self) {
        self.renewed = None;
    }

    /// What the gateway has to do at this moment.
    #[must_use]
    pub fn role(&self, now: Duration) -> Role {
        let since = |moment: Duration| now.saturating_sub(moment);
        if self.renewed.is_some_and(|sent| since(sent) < HOLDS) {
            return Role::Leads;
        }
        match since(self.looked) < EXPIRY {
            true => Role::Follows,
            false => Role::CutOff,
        }
    }

    /// Who leads, as far as this gateway knows.
    #[must_use]
    pub fn leader(&self, now: Duration) -> Option<&str> {
        match self.role(now) {
            Role::Leads => Some(&self.gateway),
            Role::Follows if !self.is_over(now) => Some(&self.seen.as_ref()?.holder),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// What gateway `a` writes, having seen these, one after the other, each at its millisecond.
    fn writes(seen: &[(u64, Written<'_>)]) -> Vec<Option<u64>> {
        let mut lease = Lease::of("a");
        let seen = seen.iter();
        seen.map(|(now, written)| lease.saw(at(*now), *written))
            .collect()
    }

    #[test]
    fn what_nobody_holds_is_taken_at_once() {
        assert_eq!(writes(&[(0, None)]), [Some(0)]);
        assert_eq!(writes(&[(0, Some((7, "")))]), [Some(7)]);
        let seen = [(0, Some((7, "b"))), (1000, Some((8, "")))];
        assert_eq!(writes(&seen), [None, Some(8)]);
    }

    #[test]
    fn what_another_holds_is_taken_when_it_was_not_renewed_for_ten_seconds() {
        let held = Some((7, "b"));
        let seen = [(0, held), (9999, held), (10_000, held)];
        assert_eq!(writes(&seen), [None, None, Some(7)]);
        let renewed = Some((8, "b"));
        let seen = [
            (0, held),
            (9999, renewed),
            (10_000, renewed),
            (19_998, renewed),
            (19_999, renewed),
        ];
        assert_eq!(writes(&seen), [None, None, None, None, Some(8)]);
        let taken = Some((8, "c"));
        let seen = [(0, held), (10_000, taken), (12_000, taken)];
        assert_eq!(writes(&seen), [None, None, None]);
    }

    #[test]
    fn a_lease_that_was_lost_with_its_store_is_not_taken_from_its_holder() {
        let seen = [
            (0, Some((7, "b"))),
            (1000, None),
            (9999, None),
            (10_000, None),
        ];
        assert_eq!(writes(&seen), [None, None, None, Some(0)]);
        let mut holder = Lease::of("b");
        holder.saw(at(0), None);
        holder.wrote(at(0));
        assert_eq!(holder.saw(at(1000), None), Some(0));
    }

    #[test]
    fn the_holder_renews_every_two_seconds_whatever_it_heard_of_the_last_time() {
        let mut lease = Lease::of("a");
        assert_eq!(lease.saw(at(0), None), Some(0));
        assert!(lease.wrote(at(0)));
        assert_eq!(lease.saw(at(1000), Some((1, "a"))), None);
        assert_eq!(lease.saw(at(2000), Some((1, "a"))), Some(1));
        // It was written, and nobody said so.
        assert_eq!(lease.saw(at(4000), Some((2, "a"))), Some(2));
        assert!(!lease.wrote(at(4000)));
        assert_eq!(lease.saw(at(5999), Some((3, "a"))), None);
    }

    #[test]
    fn it_leads_for_eight_seconds_from_the_sending_and_no_longer() {
        let mut lease = Lease::of("a");
        assert_eq!(lease.role(at(0)), Role::Follows);
        lease.saw(at(1000), None);
        assert_eq!(
            (lease.role(at(1000)), lease.leader(at(1000))),
            (Role::Follows, None)
        );
        lease.wrote(at(1000));
        assert_eq!(
            (lease.role(at(8999)), lease.leader(at(8999))),
            (Role::Leads, Some("a"))
        );
        assert_eq!(
            (lease.role(at(9000)), lease.leader(at(9000))),
            (Role::Follows, None)
        );
        assert_eq!(lease.role(at(11_000)), Role::CutOff);
        // Held once more, it is a new one.
        lease.saw(at(12_000), Some((1, "a")));
        assert!(lease.wrote(at(12_000)));
    }

    #[test]
    fn who_loses_it_stops_at_once() {
        for lose in [
            (|lease: &mut Lease| lease.lost()) as fn(&mut Lease),
            |lease| assert_eq!(lease.saw(at(2000), Some((9, "b"))), None),
            |lease| assert_eq!(lease.saw(at(2000), Some((9, ""))), Some(9)),
        ] {
            let mut lease = Lease::of("a");
            lease.saw(at(1000), None);
            lease.wrote(at(1000));
            lose(&mut lease);
            assert_eq!(lease.role(at(2000)), Role::Follows);
        }
    }

    #[test]
    fn the_leader_is_known_to_others_as_long_as_its_lease_holds() {
        let mut lease = Lease::of("a");
        lease.saw(at(0), Some((7, "b")));
        assert_eq!(lease.leader(at(9999)), Some("b"));
        lease.saw(at(9999), Some((7, "b")));
        assert_eq!(lease.leader(at(10_000)), None);
    }

    /// Two gateways, of which one is cut off at any moment of a renewal: it has stopped when the other one may begin.
    #[test]
    fn a_holder_that_is_cut_off_has_stopped_before_another_begins() {
        for cut in (0..4000).step_by(100) {
            let (mut holder, mut other) = (Lease::of("a"), Lease::of("b"));
            let (mut revision, mut sent) = (0, at(0));
            for now in (0..=cut).step_by(100).map(at) {
                let written = (revision > 0).then_some((revision, "a"));
                if holder.saw(now, written).is_some() {
                    (revision, sent) = (revision + 1, now);
                    holder.wrote(sent);
                }
                other.saw(now, Some((revision, "a")));
            }
            let begins = (cut..cut + 20_000).find(|now| {
                let taken = other.saw(at(*now), Some((revision, "a")));
                taken.is_some()
            });
            let begins = at(begins.unwrap());
            assert_eq!(begins, sent + EXPIRY, "cut off at {cut}");
            assert_ne!(holder.role(begins), Role::Leads, "cut off at {cut}");
        }
    }
}
