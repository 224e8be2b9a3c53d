//! How many replicas a function should have, by its load.

use std::time::Duration;

use crate::needs::Needs;
use crate::settings::{Kind, Settings};

/// Most that a number of replicas is multiplied with at once.
const MOST_GROWTH: u64 = 1000;

/// What a function's load is, and what is there to bear it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// Replicas that were asked for last.
    pub current: u64,
    /// Replicas that can take calls.
    pub ready: u64,
    /// Load over the averaging window, in what the function's [`Kind`] says.
    pub load: f64,
    /// The same over the last two seconds; 0 where bursts do not count.
    pub burst: f64,
    /// Calls that wait for a replica.
    pub waiting: u64,
    /// What an alert asks for at least.
    pub floor: Option<u64>,
}

/// Why a function has the replicas that it is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its load over the averaging window needs them.
    Load,
    /// Its load of the last two seconds does, which is far more.
    Burst,
    /// Its load needed them less than a down-window ago.
    Window,
    /// An alert fires.
    Floor,
    /// A step of the rule that AlertManager has.
    Legacy,
    /// Nobody has called it for long, and it may sleep.
    Idle,
    /// Calls wait for it at zero.
    Activation,
    /// Somebody asked for them.
    Manual,
    /// It is to have them at this time.
    Schedule,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Load,
        Self::Burst,
        Self::Window,
        Self::Floor,
        Self::Legacy,
        Self::Idle,
        Self::Activation,
        Self::Manual,
        Self::Schedule,
    ];

    /// The word for it in metrics and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Burst => "burst",
            Self::Window => "window",
            Self::Floor => "floor",
            Self::Legacy => "legacy",
            Self::Idle => "idle",
            Self::Activation => "activation",
            Self::Manual => "manual",
            Self::Schedule => "schedule",
        }
    }
}

/// A number of replicas, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// Replicas that the function is to have.
    pub replicas: u64,
    /// Replicas that its load alone needs; to be remembered.
    pub need: u64,
    /// The load that counted.
    pub load: f64,
    /// Why.
    pub reason: Reason,
}

impl Decision {
    /// The same, but for what an open window of its schedule asks for, which also wakes it.
    #[must_use]
    pub fn at_least(self, scheduled: Option<u64>) -> Self {
        match scheduled {
            Some(replicas) if replicas > self.replicas => Self {
                replicas,
                reason: Reason::Schedule,
                ..self
            },
            _ => self,
        }
    }
}

/// How many replicas a function of any kind but [`Kind::Legacy`] and [`Kind::Custom`] should have at `now`.
///
/// It has what its load needs at once, keeps what its load needed in the last down-window, loses at most half of its replicas
/// at a time, and stays between its limits. At zero it stays there until calls wait: only they wake it. `burst_ratio` is how
/// many times the load of two seconds has to be above what the ready replicas are for, to count at once; 0 is never.
#[must_use]
pub fn decide(
    now: Duration,
    measured: &Measured,
    settings: &Settings,
    needs: &Needs,
    burst_ratio: f64,
) -> Decision {
    let (load, mut reason) = load_that_counts(measured, settings, burst_ratio);
    let need = replicas_for(load, settings.aim());
    let mut replicas = need;
    if let Some(held) = needs
        .highest(now, settings.down_window)
        .filter(|held| *held > need)
    {
        (replicas, reason) = (held, Reason::Window);
    }
    if let Some(floor) = measured.floor.filter(|floor| *floor > replicas) {
        (replicas, reason) = (floor, Reason::Floor);
    }
    let current = measured.current;
    if replicas > current {
        replicas = replicas.min(current.max(1).saturating_mul(MOST_GROWTH));
    } else {
        replicas = replicas.max(current / 2);
    }
    replicas = replicas.clamp(settings.limits.min.max(1), settings.limits.max.max(1));
    if current == 0 && measured.waiting == 0 {
        replicas = 0;
    }
    Decision {
        replicas,
        need,
        load,
        reason,
    }
}

fn load_that_counts(measured: &Measured, settings: &Settings, burst_ratio: f64) -> (f64, Reason) {
    let Measured {
        load, burst, ready, ..
    } = *measured;
    let bursts = matches!(settings.kind, Kind::Rps | Kind::Capacity) && burst_ratio > 0.0;
    let carried = ready.max(1) as f64 * settings.aim();
    match bursts && burst >= burst_ratio * carried && burst > load {
        true => (burst, Reason::Burst),
        false => (load, Reason::Load),
    }
}

/// Rounded up, but for what floating point adds.
fn replicas_for(load: f64, aim: f64) -> u64 {
    let replicas = (load / aim - 1e-9).ceil();
    // A load that is no number needs nobody; one beyond all numbers is bounded by what the function may have.
    if replicas > 0.0 { replicas as u64 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Limits;

    const NOW: Duration = Duration::from_secs(1000);

    fn settings(aim: f64, min: u64, max: u64) -> Settings {
        Settings {
            kind: Kind::Rps,
            limits: Limits {
                min,
                max,
                ..Limits::default()
            },
            target: aim,
            proportion: 1.0,
            ..Settings::default()
        }
    }

    fn decided(
        current: u64,
        load: f64,
        burst: f64,
        settings: &Settings,
        held: Option<u64>,
    ) -> Decision {
        let measured = Measured {
            current,
            ready: current,
            load,
            burst,
            ..Measured::default()
        };
        let mut needs = Needs::default();
        if let Some(held) = held {
            needs.remember(NOW - Duration::from_secs(30), held, settings.down_window);
        }
        decide(NOW, &measured, settings, &needs, 2.0)
    }

    #[test]
    fn the_vectors_of_the_specification() {
        for (current, load, burst, aim, min, max, held, expected, reason) in [
            (1, 100.0, 100.0, 45.0, 1, 20, None, 3, Reason::Load),
            (1, 34.0, 100.0, 45.0, 1, 20, None, 3, Reason::Burst),
            (1, 34.0, 89.0, 45.0, 1, 20, None, 1, Reason::Load),
            (1, 45.0, 45.0, 45.0, 1, 20, None, 1, Reason::Load),
            (1, 45.1, 45.1, 45.0, 1, 20, None, 2, Reason::Load),
            (12, 1.0, 1.0, 9.0, 1, 20, Some(1), 6, Reason::Load),
            (12, 1.0, 1.0, 9.0, 1, 20, Some(12), 12, Reason::Window),
            (3, 0.0, 0.0, 9.0, 1, 20, Some(0), 1, Reason::Load),
            (3, 1000.0, 1000.0, 9.0, 1, 20, None, 20, Reason::Load),
            (2, 500.0, 500.0, 9.0, 2, 2, None, 2, Reason::Load),
            (0, 0.0, 0.0, 9.0, 1, 20, Some(0), 0, Reason::Load),
        ] {
            let found = decided(current, load, burst, &settings(aim, min, max), held);
            assert_eq!(
                (found.replicas, found.reason),
                (expected, reason),
                "{current} replicas, load {load}, burst {burst}, {aim} each, held {held:?}"
            );
        }
    }

    #[test]
    fn at_zero_only_calls_that_wait_wake_a_function() {
        let settings = settings(9.0, 2, 20);
        let asleep = Measured {
            load: 100.0,
            burst: 100.0,
            floor: Some(5),
            ..Measured::default()
        };
        let replicas =
            |measured: &Measured| decide(NOW, measured, &settings, &Needs::default(), 2.0).replicas;
        assert_eq!(replicas(&asleep), 0);
        let called = Measured {
            waiting: 1,
            load: 0.0,
            burst: 0.0,
            floor: None,
            ..asleep
        };
        assert_eq!(replicas(&called), 2);
    }

    #[test]
    fn an_alert_raises_and_never_lowers() {
        let with_floor = |floor, load| {
            let measured = Measured {
                current: 3,
                ready: 3,
                load,
                floor: Some(floor),
                ..Measured::default()
            };
            let found = decide(
                NOW,
                &measured,
                &settings(9.0, 1, 20),
                &Needs::default(),
                2.0,
            );
            (found.replicas, found.reason)
        };
        assert_eq!(with_floor(7, 0.0), (7, Reason::Floor));
        assert_eq!(with_floor(7, 90.0), (10, Reason::Load));
        assert_eq!(with_floor(99, 0.0), (20, Reason::Floor));
    }

    #[test]
    fn a_schedule_raises_and_never_lowers() {
        let settings = settings(9.0, 1, 20);
        for (current, load, scheduled, expected, reason) in [
            (0, 0.0, Some(3), 3, Reason::Schedule),
            (1, 0.0, Some(3), 3, Reason::Schedule),
            (3, 0.0, Some(3), 3, Reason::Schedule),
            (3, 27.0, Some(3), 3, Reason::Load),
            (3, 90.0, Some(3), 10, Reason::Load),
            (8, 0.0, Some(3), 4, Reason::Load),
            (1, 0.0, None, 1, Reason::Load),
            (0, 0.0, None, 0, Reason::Load),
        ] {
            let found = decided(current, load, load, &settings, None).at_least(scheduled);
            assert_eq!(
                (found.replicas, found.reason),
                (expected, reason),
                "{current} replicas, load {load}, scheduled {scheduled:?}"
            );
        }
    }

    #[test]
    fn bursts_count_only_for_calls() {
        let cpu = Settings {
            kind: Kind::Cpu,
            ..settings(9.0, 1, 20)
        };
        assert_eq!(decided(1, 9.0, 90.0, &cpu, None).replicas, 1);
    }

    #[test]
    fn loads_that_are_no_numbers_do_no_harm() {
        let settings = settings(9.0, 1, 20);
        for (load, expected) in [(f64::NAN, 1), (f64::INFINITY, 20), (-5.0, 1), (1e300, 20)] {
            assert_eq!(
                decided(1, load, 0.0, &settings, None).replicas,
                expected,
                "{load}"
            );
        }
    }
}
