//! What alerts ask for where the load decides: a number of replicas that a function has at least.

use std::time::Duration;

use crate::alert::{self, Limits};

/// How long a floor holds after the last time that an alert was said to fire.
const HOLDS: Duration = Duration::from_secs(60);
/// From one step of a function to the next. AlertManager tells of an alert again whenever another one of its group changes,
/// and when an answer was an error; it repeats one that still fires after longer than this.
const STEP_INTERVAL: Duration = Duration::from_secs(10);

/// The floor of one function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Floor {
    replicas: Option<u64>,
    /// When an alert was last said to fire.
    told: Duration,
    stepped: Option<Duration>,
}

impl Floor {
    /// An alert fires while the function has `current` replicas: it is to have a step more, at least. Told again within ten
    /// seconds it is no further step, and only holds for longer. Whether it was a step.
    pub fn fires(&mut self, now: Duration, current: u64, limits: Limits) -> bool {
        let floor = self.at(now);
        self.told = now;
        self.replicas = floor;
        let stepped = self.stepped;
        if stepped.is_some_and(|at| now.saturating_sub(at) < STEP_INTERVAL) {
            return false;
        }
        self.stepped = Some(now);
        self.replicas = floor.max(Some(alert::replicas(true, current, limits)));
        true
    }

    /// The alert is over, and its floor with it.
    pub fn resolved(&mut self) {
        self.replicas = None;
    }

    /// What the function has at least, at this moment.
    #[must_use]
    pub fn at(&self, now: Duration) -> Option<u64> {
        let holds = now.saturating_sub(self.told) < HOLDS;
        self.replicas.filter(|_| holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(floor: &Floor, second: u64) -> Option<u64> {
        floor.at(Duration::from_secs(second))
    }

    fn fires(floor: &mut Floor, second: u64, current: u64) -> bool {
        floor.fires(Duration::from_secs(second), current, Limits::default())
    }

    #[test]
    fn it_is_a_step_above_and_ends_a_minute_after_it_was_last_told() {
        let mut floor = Floor::default();
        assert_eq!(at(&floor, 0), None);
        fires(&mut floor, 100, 3);
        assert_eq!(
            (at(&floor, 100), at(&floor, 159), at(&floor, 160)),
            (Some(7), Some(7), None)
        );
    }

    #[test]
    fn told_three_times_in_ten_seconds_it_is_one_step() {
        let mut floor = Floor::default();
        let steps = [100, 104, 109].map(|second| fires(&mut floor, second, 3));
        assert_eq!(steps, [true, false, false]);
        assert_eq!((at(&floor, 168), at(&floor, 169)), (Some(7), None));
        let mut floor = Floor::default();
        for (second, current) in [(100, 3), (130, 7), (160, 11)] {
            fires(&mut floor, second, current);
        }
        assert_eq!(at(&floor, 160), Some(15));
    }

    #[test]
    fn an_alert_that_is_over_has_none_and_one_after_it_begins_anew() {
        let mut floor = Floor::default();
        fires(&mut floor, 100, 15);
        floor.resolved();
        assert_eq!(at(&floor, 101), None);
        fires(&mut floor, 300, 1);
        assert_eq!(at(&floor, 300), Some(5));
        // What has run out does not come back either.
        fires(&mut floor, 400, 0);
        assert_eq!(at(&floor, 400), Some(4));
    }
}
