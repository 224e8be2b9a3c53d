//! What an alert does to the number of replicas.

/// Fewest replicas where the function says nothing.
pub const DEFAULT_MIN: u64 = 1;
/// Most replicas where the function says nothing.
pub const DEFAULT_MAX: u64 = 20;
/// Step of an alert, in percent of the most replicas, where the function says nothing.
pub const DEFAULT_FACTOR: u64 = 20;

/// The scaling labels of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Fewest replicas.
    pub min: u64,
    /// Most replicas.
    pub max: u64,
    /// Step in percent of `max`; 0 switches stepping off.
    pub factor: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            min: DEFAULT_MIN,
            max: DEFAULT_MAX,
            factor: DEFAULT_FACTOR,
        }
    }
}

/// The replicas that a function should have after an alert, of `current` ones now.
///
/// While it fires: a step more, never fewer than now. When it is over: the minimum again; a function at zero is left
/// asleep.
///
/// Compat: the arithmetic of 2020 (step rounded up), in integers; floating point rounded some inputs wrongly.
#[must_use]
pub fn replicas(firing: bool, current: u64, limits: Limits) -> u64 {
    let Limits { min, max, factor } = limits;
    match (firing, current) {
        (true, _) => current
            .saturating_add(step(max, factor))
            .min(max)
            .max(current),
        (false, 0) => 0,
        (false, _) => min,
    }
}

/// `factor` percent of `max`, rounded up.
fn step(max: u64, factor: u64) -> u64 {
    max.saturating_mul(factor).div_ceil(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_values_of_2020() {
        let limits = |min, max, factor| Limits { min, max, factor };
        for (limits, firing, current, expected) in [
            (Limits::default(), true, 0, 4),
            (Limits::default(), true, 1, 5),
            (Limits::default(), true, 4, 8),
            (Limits::default(), true, 19, 20),
            (limits(1, 20, 100), true, 1, 20),
            (limits(1, 4, 20), true, 1, 2),
            (limits(8, 8, 20), true, 8, 8),
            (limits(1, 7, 100), true, 0, 7),
            (limits(1, 29, 100), true, 0, 29),
            (limits(1, 5, 10), true, 0, 1),
            (limits(1, 5, 10), true, 1, 2),
            (limits(1, 5, 25), true, 4, 5),
            (limits(1, 5, 30), true, 1, 3),
            (limits(1, 4, 1), true, 1, 2),
            (limits(1, 10, 100), true, 1, 10),
            (limits(1, 5, 10), true, 5, 5),
            (Limits::default(), false, 8, 1),
            (limits(2, 20, 20), false, 1, 2),
            (limits(2, 20, 20), false, 8, 2),
        ] {
            assert_eq!(
                replicas(firing, current, limits),
                expected,
                "{limits:?} {firing} {current}"
            );
        }
    }

    #[test]
    fn a_firing_alert_never_scales_down_and_no_factor_means_no_step() {
        let limits = Limits {
            min: 2,
            max: 5,
            factor: 0,
        };
        assert_eq!(replicas(true, 1, limits), 1);
        assert_eq!(replicas(true, 6, limits), 6);
        assert_eq!(
            replicas(
                true,
                9,
                Limits {
                    factor: 20,
                    ..limits
                }
            ),
            9
        );
    }

    #[test]
    fn absurd_labels_neither_overflow_nor_shrink_a_function() {
        let limits = |max, factor| Limits {
            max,
            factor,
            ..Limits::default()
        };
        assert_eq!(replicas(true, 7, limits(0, 100)), 7);
        assert_eq!(
            replicas(true, 0, limits(1_000_000_000_000, 100)),
            1_000_000_000_000
        );
        assert_eq!(
            replicas(true, u64::MAX, limits(u64::MAX, u64::MAX)),
            u64::MAX
        );
    }

    #[test]
    fn the_end_of_an_alert_wakes_nobody() {
        assert_eq!(replicas(false, 0, Limits::default()), 0);
    }
}
