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
}

/// What to do now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// How many replicas of the present generation to start.
    pub(super) start: usize,
    /// Numbers of the replicas to drain.
    pub(super) drain: Vec<u64>,
}

/// Compares the replicas that are not draining with `wanted` ones of `generation`.
///
/// A replica of an older generation stays until a new one is ready in its place: an update fails no call, and one that
/// never becomes ready leaves the old version serving.
pub(super) fn plan(slots: &[Slot], generation: u64, wanted: usize) -> Plan {
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(text: &str) -> Vec<Slot> {
        // `2r` is a ready replica of generation 2, `2s` one that is starting.
        let slot = |(number, word): (usize, &str)| Slot {
            number: number as u64,
            generation: word[..1].parse().unwrap(),
            ready: word.ends_with('r'),
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
            assert_eq!(
                plan(&slots(have), generation, wanted),
                Plan { start, drain },
                "{have}, {wanted} of {generation}"
            );
        }
    }
}
