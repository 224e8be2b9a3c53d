//! The decision what runs: replicas and a wish in, replicas to start and to drain out. No clock, no process.

/// A replica as the decision sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Grows with every replica of the function.
    pub(super) number: u64,
    /// Which version of the deployment it runs.
    pub(super) generation: u64,
    /// Whether it takes calls.
    pub(super) ready: bool,
    /// Whether it is kept though no replica is wanted.
    pub(super) resting: bool,
}

/// What to do now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// How many replicas of the present generation to start.
    pub(super) start: usize,
    /// Numbers of the replicas to drain.
    pub(super) drain: Vec<u64>,
    /// The replica to keep though none is wanted.
    pub(super) rest: Option<u64>,
    /// The replica that was kept and is wanted again.
    pub(super) serve: Option<u64>,
}

/// Compares the replicas that are not draining with `wanted` ones of `generation`; with `keeps`, one is kept where none is wanted.
///
/// A replica of an older generation stays until a new one is ready in its place: an update fails no call, and one that
/// never becomes ready leaves the old version serving.
pub(super) fn plan(slots: &[Slot], generation: u64, wanted: usize, keeps: bool) -> Plan {
    let (resting, active): (Vec<&Slot>, Vec<&Slot>) = slots.iter().partition(|slot| slot.resting);
    let mut plan = among(&active, generation, wanted);
    let kept = resting.iter().find(|slot| slot.generation == generation);
    let kept = kept.map(|slot| slot.number);
    if plan.start > 0 && kept.is_some() {
        plan.start -= 1;
        plan.serve = kept;
    } else if wanted == 0 && keeps && kept.is_none() {
        let ready = |number: &u64| {
            let mut new = active.iter().filter(|slot| slot.generation == generation);
            new.any(|slot| slot.ready && slot.number == *number)
        };
        let first = plan.drain.iter().position(ready);
        plan.rest = first.map(|at| plan.drain.remove(at));
    }
    let stays = kept.filter(|_| plan.serve.is_some() || (wanted == 0 && keeps));
    let leaving = resting.iter().map(|slot| slot.number);
    plan.drain
        .extend(leaving.filter(|number| Some(*number) != stays));
    plan
}

/// The same without those that rest.
fn among(slots: &[&Slot], generation: u64, wanted: usize) -> Plan {
    let (mut new, mut old): (Vec<&Slot>, Vec<&Slot>) =
        slots.iter().partition(|slot| slot.generation == generation);
    // Those to keep come first: ready ones, then the ones that have been there longest.
    let order = |slot: &&Slot| (!slot.ready, slot.number);
    new.sort_by_key(order);
    old.sort_by_key(order);
    let ready = new.iter().filter(|slot| slot.ready).count();
    let keep_old = wanted.saturating_sub(ready);
    let drain = new
        .iter()
        .skip(wanted)
        .chain(old.iter().skip(keep_old))
        .map(|slot| slot.number)
        .collect();
    Plan {
        start: wanted.saturating_sub(new.len()),
        drain,
        ..Plan::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(text: &str) -> Vec<Slot> {
        // `2r` is a ready replica of generation 2, `2s` one that is starting, `2p` one that is paused.
        let slot = |(number, word): (usize, &str)| Slot {
            number: number as u64,
            generation: word[..1].parse().unwrap(),
            ready: word.ends_with('r'),
            resting: word.ends_with('p'),
        };
        text.split_whitespace().enumerate().map(slot).collect()
    }

    #[test]
    fn what_is_missing_is_started_and_what_is_too_much_is_drained() {
        for (have, generation, wanted, start, drain) in [
            ("", 1, 3, 3, vec![]),
            ("1r 1s", 1, 3, 1, vec![]),
            ("1r 1r 1r", 1, 1, 0, vec![1, 2]),
            ("1s 1r", 1, 1, 0, vec![0]),
            ("1r 1r", 1, 0, 0, vec![0, 1]),
            // An update: the old ones stay until the new ones are ready, one for one.
            ("1r 1r", 2, 2, 2, vec![]),
            ("1r 1r 2s 2s", 2, 2, 0, vec![]),
            ("1r 1r 2r 2s", 2, 2, 0, vec![1]),
            ("1r 1r 2r 2r", 2, 2, 0, vec![0, 1]),
            // Old ones that never were ready go first.
            ("1s 1r 2r 2s", 2, 2, 0, vec![0]),
            ("1r 2s", 2, 0, 0, vec![1, 0]),
        ] {
            let expected = Plan {
                start,
                drain,
                ..Plan::default()
            };
            assert_eq!(
                plan(&slots(have), generation, wanted, false),
                expected,
                "{have}, {wanted} of {generation}"
            );
        }
    }

    #[test]
    fn one_that_is_ready_is_kept_at_zero_and_the_first_to_serve_again() {
        for (have, generation, wanted, start, drain, rest, serve) in [
            ("1r", 1, 0, 0, vec![], Some(0), None),
            ("1s 1r 1r", 1, 0, 0, vec![2, 0], Some(1), None),
            // None of them has shown that it can serve.
            ("1s", 1, 0, 0, vec![0], None, None),
            ("1p", 1, 0, 0, vec![], None, None),
            ("1p 1r", 1, 0, 0, vec![1], None, None),
            ("1p", 1, 1, 0, vec![], None, Some(0)),
            ("1p", 1, 3, 2, vec![], None, Some(0)),
            // It is not needed any more, or an old one.
            ("1p 1r", 1, 1, 0, vec![0], None, None),
            ("1p", 2, 0, 0, vec![0], None, None),
            ("1p", 2, 1, 1, vec![0], None, None),
            ("1r", 2, 0, 0, vec![0], None, None),
        ] {
            let expected = Plan {
                start,
                drain,
                rest,
                serve,
            };
            assert_eq!(
                plan(&slots(have), generation, wanted, true),
                expected,
                "{have}, {wanted} of {generation}"
            );
        }
        let forbidden = plan(&slots("1p"), 1, 0, false);
        assert_eq!((forbidden.drain, forbidden.rest), (vec![0], None));
    }
}
