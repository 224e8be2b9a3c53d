//! Functions without a type: the rule that AlertManager has, without its defects.
//!
//! Compat: it steps a function up while more than five calls a second succeed, every thirty seconds, and brings it back to its
//! minimum when they do not any more. Ours steps only while each replica has that much, or a function with six calls a second
//! would climb to its maximum.

use std::time::Duration;

use crate::alert;
use crate::load::Load;
use crate::settings::Settings;

/// Calls a second, with status 200, above which the rule fires.
const THRESHOLD: f64 = 5.0;
/// Seconds for which they have to be above it without a break.
const FOR: usize = 5;
/// How long a function that was found above its minimum has to be below the threshold before it is taken down: nobody here
/// has seen whether the rule fired for it.
const UNSEEN: Duration = Duration::from_secs(60);

/// How the rule is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// From one step to the next.
    pub interval: Duration,
    /// Whether the threshold counts for each replica; without, the published rule is followed to the letter.
    pub per_replica: bool,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            per_replica: true,
        }
    }
}

/// What the rule has done for a function so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    firing: Firing,
    stepped: Option<Duration>,
}

/// Whether the rule fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Firing {
    /// Not known for a function found with more than its minimum; below the threshold since this moment.
    Unknown(Option<Duration>),
    Yes,
    No,
}

impl Default for Firing {
    fn default() -> Self {
        Self::Unknown(None)
    }
}

/// The replicas that the function should have at `now`, of `current` ones, and what is to be remembered.
///
/// While the rule fires a step is made at most every [`Rule::interval`]. Only the moment at which it stops firing takes a
/// function to its minimum, so that a number that somebody has set for an idle one stays; none is woken.
#[must_use]
pub fn decide(
    now: Duration,
    load: &Load,
    current: u64,
    settings: &Settings,
    rule: Rule,
    state: State,
) -> (u64, State) {
    let limits = settings.limits;
    if limits.min == limits.max || limits.factor == 0 {
        return (current, state);
    }
    let rate = load.success_rate(0);
    if (0..=FOR).all(|ago| load.success_rate(ago) > THRESHOLD) {
        return fire(now, rate, current, settings, rule, state);
    }
    let rest = |firing| State { firing, ..state };
    if rate > THRESHOLD {
        // On its way to firing, or still: nothing changes.
        let firing = match state.firing {
            Firing::Unknown(_) => Firing::Unknown(None),
            known => known,
        };
        return (current, rest(firing));
    }
    let low = current.min(limits.min);
    match state.firing {
        Firing::Yes => (low, rest(Firing::No)),
        Firing::Unknown(_) if current <= limits.min => (current, rest(Firing::No)),
        Firing::Unknown(Some(since)) if now.saturating_sub(since) >= UNSEEN => {
            (low, rest(Firing::No))
        }
        Firing::Unknown(since) => (current, rest(Firing::Unknown(since.or(Some(now))))),
        Firing::No => (current, state),
    }
}

/// Whether calls succeed at the rate at which the rule fires.
#[must_use]
pub fn is_busy(load: &Load) -> bool {
    load.success_rate(0) > THRESHOLD
}

fn fire(
    now: Duration,
    rate: f64,
    current: u64,
    settings: &Settings,
    rule: Rule,
    state: State,
) -> (u64, State) {
    let firing = Firing::Yes;
    let may_step = state
        .stepped
        .is_none_or(|at| now.saturating_sub(at) >= rule.interval);
    let busy = !rule.per_replica || rate > THRESHOLD * current as f64;
    // Somebody has put it to sleep; a call that waits wakes it, no rule.
    if !may_step || !busy || current == 0 {
        return (current, State { firing, ..state });
    }
    let stepped = Some(now);
    let replicas = alert::replicas(true, current, settings.limits);
    (replicas, State { firing, stepped })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Limits;
    use crate::load::Second;

    /// The changes of a function that begins with `replicas` and has these calls a second, looked at every two seconds.
    fn changes(
        replicas: u64,
        calls: impl Fn(u64) -> u64,
        until: u64,
        limits: Limits,
        rule: Rule,
    ) -> Vec<(u64, u64)> {
        let settings = Settings {
            limits,
            ..Settings::default()
        };
        let (mut load, mut state, mut current) = (Load::default(), State::default(), replicas);
        let mut changes = Vec::new();
        for second in 1..=until {
            load.push(Second {
                succeeded: calls(second - 1),
                ..Second::default()
            });
            if second % 2 == 0 {
                let now = Duration::from_secs(second);
                let (wanted, next) = decide(now, &load, current, &settings, rule, state);
                state = next;
                if wanted != current {
                    current = wanted;
                    changes.push((second, wanted));
                }
            }
        }
        changes
    }

    fn by_default(replicas: u64, calls: impl Fn(u64) -> u64, until: u64) -> Vec<(u64, u64)> {
        changes(replicas, calls, until, Limits::default(), Rule::default())
    }

    #[test]
    fn a_hundred_calls_a_second_from_the_first_minute_to_the_fourth() {
        let calls = |second| if (60..240).contains(&second) { 100 } else { 0 };
        let expected = [(66, 5), (96, 9), (126, 13), (156, 17), (186, 20), (250, 1)];
        assert_eq!(by_default(1, calls, 400), expected);
    }

    #[test]
    fn steps_can_be_made_more_often() {
        let often = Rule {
            interval: Duration::from_secs(10),
            ..Rule::default()
        };
        let expected = [(6, 5), (16, 9), (26, 13), (36, 17), (46, 20)];
        assert_eq!(changes(1, |_| 100, 200, Limits::default(), often), expected);
    }

    #[test]
    fn ten_calls_a_second_need_one_step_and_by_the_published_rule_all() {
        assert_eq!(by_default(1, |_| 10, 300), [(12, 5)]);
        let published = Rule {
            per_replica: false,
            ..Rule::default()
        };
        let last = changes(1, |_| 10, 300, Limits::default(), published).pop();
        assert_eq!(last.map(|(_, replicas)| replicas), Some(20));
    }

    #[test]
    fn the_load_of_the_conformance_suite_gets_two_replicas_and_never_three() {
        let limits = Limits {
            max: 2,
            ..Limits::default()
        };
        let calls = |second| if second < 60 { 10 } else { 0 };
        let expected = [(12, 2), (66, 1)];
        assert_eq!(changes(1, calls, 200, limits, Rule::default()), expected);
    }

    #[test]
    fn equal_limits_and_no_factor_change_nothing() {
        for limits in [
            Limits {
                min: 2,
                max: 2,
                factor: 20,
            },
            Limits {
                min: 1,
                max: 20,
                factor: 0,
            },
        ] {
            assert_eq!(changes(2, |_| 100, 100, limits, Rule::default()), []);
        }
    }

    #[test]
    fn a_number_that_somebody_set_for_an_idle_function_stays() {
        let settings = Settings::default();
        let (mut load, mut state) = (Load::default(), State::default());
        // Seen at its minimum first, so that what comes is somebody's wish.
        for (second, current) in (0..300).map(|second| (second, if second < 10 { 1 } else { 7 })) {
            load.push(Second::default());
            let now = Duration::from_secs(second);
            let (wanted, next) = decide(now, &load, current, &settings, Rule::default(), state);
            assert_eq!(wanted, current, "at {second}");
            state = next;
        }
    }

    #[test]
    fn a_function_found_above_its_minimum_is_taken_down_after_a_minute_below() {
        assert_eq!(by_default(9, |_| 0, 200), [(62, 1)]);
        let busy = |second| if second < 30 { 20 } else { 0 };
        // It fires within that time, so that its end is seen.
        assert_eq!(by_default(9, busy, 200), [(38, 1)]);
    }

    #[test]
    fn a_function_at_zero_stays_there() {
        assert_eq!(by_default(0, |_| 100, 100), []);
        assert_eq!(by_default(0, |_| 0, 100), []);
    }
}
