//! Which replicas are kept paused: a few of the whole provider, for a while.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::duty::{Duty, Orders};

/// A function with this label keeps its first replica when it is scaled to zero: `true` or `1`.
const LABEL: &str = "com.openfaas.scale.zero-pause";

/// The replicas that rest, the one that rests for the longest time first.
#[derive(Debug)]
pub(crate) struct Paused {
    most: usize,
    longest: Option<Duration>,
    resting: Mutex<VecDeque<Orders>>,
}

impl Paused {
    /// So many at most, each for so long at most.
    pub(crate) fn new(most: usize, longest: Option<Duration>) -> Self {
        Self {
            most,
            longest,
            resting: Mutex::default(),
        }
    }

    /// How long one is kept.
    pub(super) fn longest(&self) -> Option<Duration> {
        self.longest
    }

    /// Whether a function with these labels keeps a replica.
    pub(super) fn keeps(&self, labels: &faas_provider::Texts) -> bool {
        let label = labels.get(LABEL).map(String::as_str);
        self.most > 0 && matches!(label, Some("true" | "1"))
    }

    /// One rests from now on. Where there are too many, those that have rested for the longest time leave.
    pub(super) fn enter(&self, orders: &Orders) {
        let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
        resting.retain(|other| !other.is(orders) && other.duty() == Duty::Rest);
        resting.push_back(orders.clone());
        while resting.len() > self.most {
            if let Some(first) = resting.pop_front() {
                first.dismiss();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resting() -> Orders {
        let orders = Orders::default();
        orders.rest();
        orders
    }

    #[test]
    fn of_too_many_the_one_that_rests_for_the_longest_time_leaves() {
        let paused = Paused::new(2, None);
        let all = [(); 3].map(|()| resting());
        for orders in &all {
            paused.enter(orders);
        }
        let duties = all.each_ref().map(Orders::duty);
        assert_eq!(duties, [Duty::Leave, Duty::Rest, Duty::Rest]);
        // Used again, it is the last one to leave.
        all[1].serve();
        all[1].rest();
        paused.enter(&all[1]);
        paused.enter(&resting());
        let duties = all.each_ref().map(Orders::duty);
        assert_eq!(duties, [Duty::Leave, Duty::Rest, Duty::Leave]);
    }

    #[test]
    fn who_serves_again_takes_no_place() {
        let paused = Paused::new(1, None);
        let (first, second) = (resting(), resting());
        paused.enter(&first);
        first.serve();
        paused.enter(&second);
        assert_eq!((first.duty(), second.duty()), (Duty::Serve, Duty::Rest));
    }

    #[test]
    fn only_those_who_want_it_are_kept_and_nobody_where_there_is_no_room() {
        let labels = |word: &str| [(LABEL.to_owned(), word.to_owned())].into();
        let (some, none) = (Paused::new(1, None), Paused::new(0, None));
        for (word, keeps) in [
            ("true", true),
            ("1", true),
            ("false", false),
            ("yes", false),
        ] {
            assert_eq!(some.keeps(&labels(word)), keeps, "{word}");
            assert!(!none.keeps(&labels(word)));
        }
        assert!(!some.keeps(&faas_provider::Texts::new()));
    }
}
