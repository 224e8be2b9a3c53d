//! How a function wants to be scaled: its labels, and what holds where it says nothing.

use std::fmt;
use std::time::Duration;

use crate::alert::Limits;
use crate::schedule::Schedule;

/// What load is measured in: `com.openfaas.scale.type`.
pub const TYPE_LABEL: &str = "com.openfaas.scale.type";
/// Load that one replica is to have: a number above 0.
pub const TARGET_LABEL: &str = "com.openfaas.scale.target";
/// Share of the target at which another replica is wanted: above 0, at most 1.
pub const PROPORTION_LABEL: &str = "com.openfaas.scale.target-proportion";
/// How long the highest need is held before replicas are taken away: a Go duration, at most [`LONGEST_DOWN_WINDOW`].
pub const DOWN_WINDOW_LABEL: &str = "com.openfaas.scale.down.window";
/// How long a function may be idle before it is scaled to zero, where it allows that: a Go duration above 0.
pub const ZERO_DURATION_LABEL: &str = "com.openfaas.scale.zero-duration";
/// Calls that one replica can take at once, if the function limits them: a whole number from 1 on. Ours.
pub const MAX_INFLIGHT_LABEL: &str = "com.openfaas.max_inflight";
/// Minimums for certain times; [`Schedule`] says how they are written. Ours.
pub const SCHEDULE_LABEL: &str = "com.openfaas.scale.schedule";

/// Longest down-window; a label that asks for more is wrong.
pub const LONGEST_DOWN_WINDOW: Duration = Duration::from_secs(300);

const MIN_LABEL: &str = "com.openfaas.scale.min";
const MAX_LABEL: &str = "com.openfaas.scale.max";
const FACTOR_LABEL: &str = "com.openfaas.scale.factor";
const ZERO_LABEL: &str = "com.openfaas.scale.zero";

/// Most replicas that a label can ask for: beyond this it is a mistake, and counts as unset.
const MOST_REPLICAS: u64 = 1_000_000;

/// What a function's load is measured in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Calls that arrive in a second.
    Rps,
    /// Calls that wait or are in flight.
    Capacity,
    /// Thousandths of a processor in use.
    Cpu,
    /// Asynchronous calls that wait or are in flight.
    Queue,
    /// Steps while more than five calls a second succeed, as AlertManager's rule has it; back to the minimum after that.
    Legacy,
    /// Known to somebody else, who scales.
    Custom(String),
}

impl Kind {
    /// Any word is a type; those without a meaning here are somebody else's.
    #[must_use]
    pub fn named(text: &str) -> Self {
        match text {
            "rps" => Self::Rps,
            "capacity" => Self::Capacity,
            "cpu" => Self::Cpu,
            "queue" => Self::Queue,
            "legacy" => Self::Legacy,
            other => Self::Custom(other.to_owned()),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rps => "rps",
            Self::Capacity => "capacity",
            Self::Cpu => "cpu",
            Self::Queue => "queue",
            Self::Legacy => "legacy",
            Self::Custom(name) => name,
        })
    }
}

/// How a function is scaled.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What its load is measured in.
    pub kind: Kind,
    /// Its fewest and most replicas, and its step.
    pub limits: Limits,
    /// Load of one replica, in what [`Kind`] says; above 0.
    pub target: f64,
    /// Share of the target that is aimed at; above 0, at most 1.
    pub proportion: f64,
    /// How long the highest need is held.
    pub down_window: Duration,
    /// How long it may be idle before it sleeps; none where it is not to sleep.
    pub zero_after: Option<Duration>,
    /// Calls that a replica takes at once, where that is known; at least 1.
    pub per_replica: Option<u64>,
    /// When it has more replicas than its fewest.
    pub schedule: Option<Schedule>,
}

impl Default for Settings {
    /// What holds for a function without labels.
    fn default() -> Self {
        Defaults::default().settings()
    }
}

impl Settings {
    /// Load at which a replica is as busy as it is to be.
    #[must_use]
    pub fn aim(&self) -> f64 {
        self.target * self.proportion
    }

    /// Replicas that the schedule asks for at this time since 1970, if any: the function's most at most.
    #[must_use]
    pub fn scheduled(&self, wall: Duration) -> Option<u64> {
        let minimum = self.schedule.as_ref()?.minimum(wall)?;
        Some(minimum.min(self.limits.max))
    }
}

/// What holds where a function says nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Defaults {
    /// For functions with neither a type nor a target; those with a target are scaled by [`Kind::Rps`].
    pub kind: Kind,
    /// Most replicas.
    pub max: u64,
    /// Load of one replica.
    pub target: f64,
    /// Share of the target that is aimed at.
    pub proportion: f64,
    /// How long the highest need is held; [`Kind::Queue`] holds it only where a label says so.
    pub down_window: Duration,
    /// How long a function that may sleep is idle before.
    pub zero_after: Duration,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            kind: Kind::Legacy,
            max: crate::alert::DEFAULT_MAX,
            target: 50.0,
            proportion: 0.9,
            down_window: Duration::from_secs(60),
            zero_after: Duration::from_secs(15 * 60),
        }
    }
}

/// A label that cannot be followed. It counts as unset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelError {
    label: &'static str,
    value: String,
    wanted: &'static str,
}

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            label,
            value,
            wanted,
        } = self;
        write!(f, "label {label}: `{value}` is no {wanted}")
    }
}

impl std::error::Error for LabelError {}

impl Defaults {
    fn settings(&self) -> Settings {
        Settings {
            kind: self.kind.clone(),
            limits: Limits {
                max: self.max,
                ..Limits::default()
            },
            target: self.target,
            proportion: self.proportion,
            down_window: self.down_window,
            zero_after: None,
            per_replica: None,
            schedule: None,
        }
    }

    /// The settings of a function with these labels, and which of them are wrong. `duration` reads a Go duration.
    #[must_use]
    pub fn with_labels<'a>(
        &self,
        label: impl Fn(&str) -> Option<&'a str>,
        duration: impl Fn(&str) -> Option<Duration>,
    ) -> (Settings, Vec<LabelError>) {
        let mut labels = Labels {
            label,
            wrong: Vec::new(),
        };
        let settings = self.read(&mut labels, duration);
        (settings, labels.wrong)
    }

    fn read<'a>(
        &self,
        labels: &mut Labels<impl Fn(&str) -> Option<&'a str>>,
        duration: impl Fn(&str) -> Option<Duration>,
    ) -> Settings {
        let mut settings = self.settings();
        if let Some(kind) = (labels.label)(TYPE_LABEL) {
            settings.kind = Kind::named(kind.trim());
        } else if (labels.label)(TARGET_LABEL).is_some() {
            settings.kind = Kind::Rps;
        }
        settings.limits = labels.limits(settings.limits);
        let above_zero = |text: &str| {
            text.parse()
                .ok()
                .filter(|n: &f64| *n > 0.0 && n.is_finite())
        };
        labels.set(
            &mut settings.target,
            TARGET_LABEL,
            "number above 0",
            above_zero,
        );
        labels.set(
            &mut settings.proportion,
            PROPORTION_LABEL,
            "number above 0 and at most 1",
            |text| above_zero(text).filter(|share| *share <= 1.0),
        );
        if settings.kind == Kind::Queue {
            settings.down_window = Duration::ZERO;
        }
        labels.set(
            &mut settings.down_window,
            DOWN_WINDOW_LABEL,
            "duration of at most 5m",
            |text| duration(text).filter(|window| *window <= LONGEST_DOWN_WINDOW),
        );
        let mut zero_after = self.zero_after;
        labels.set(
            &mut zero_after,
            ZERO_DURATION_LABEL,
            "duration above 0",
            |text| duration(text).filter(|pause| !pause.is_zero()),
        );
        // Compat: no other word switches it on, and other words are no error.
        let sleeps = matches!((labels.label)(ZERO_LABEL), Some("true" | "1"));
        settings.zero_after = sleeps.then_some(zero_after);
        labels.set(
            &mut settings.per_replica,
            MAX_INFLIGHT_LABEL,
            "whole number from 1 on",
            |text| whole(text).filter(|calls| *calls > 0).map(Some),
        );
        labels.set(
            &mut settings.schedule,
            SCHEDULE_LABEL,
            "schedule such as `3 at 0 8 * * MON-FRI Europe/Berlin for 10h; 1 at 0 12 * * SAT for 2h`",
            |text| Schedule::parse(text, replicas, &duration).map(Some),
        );
        settings
    }
}

/// A function's labels, and those that were found wrong.
struct Labels<L> {
    label: L,
    wrong: Vec<LabelError>,
}

impl<'a, L: Fn(&str) -> Option<&'a str>> Labels<L> {
    /// Takes a label's value, if it has one that can be read.
    fn set<T>(
        &mut self,
        value: &mut T,
        label: &'static str,
        wanted: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) {
        let Some(text) = (self.label)(label) else {
            return;
        };
        match read(text.trim()) {
            Some(read) => *value = read,
            None => self.wrong.push(LabelError {
                label,
                value: text.to_owned(),
                wanted,
            }),
        }
    }

    fn limits(&mut self, defaults: Limits) -> Limits {
        let mut limits = defaults;
        self.set(&mut limits.min, MIN_LABEL, "number of replicas", replicas);
        self.set(&mut limits.max, MAX_LABEL, "number of replicas", replicas);
        self.set(
            &mut limits.factor,
            FACTOR_LABEL,
            "whole number of percent, 0 to 100",
            |text| whole(text).filter(|percent| *percent <= 100),
        );
        limits.min = limits.min.max(1);
        limits.max = limits.max.max(limits.min);
        limits
    }
}

/// A number of replicas that somebody can mean.
fn replicas(text: &str) -> Option<u64> {
    whole(text).filter(|replicas| *replicas <= MOST_REPLICAS)
}

/// Digits and nothing else: no sign, no exponent.
fn whole(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(labels: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let label = |name: &str| {
            let found = labels.iter().find(|(label, _)| *label == name);
            found.map(|(_, value)| *value)
        };
        let duration = |text: &str| {
            let seconds = text.strip_suffix('s')?.parse().ok()?;
            Some(Duration::from_secs(seconds))
        };
        let (settings, wrong) = Defaults::default().with_labels(label, duration);
        (settings, wrong.iter().map(LabelError::to_string).collect())
    }

    #[test]
    fn no_labels_mean_the_defaults() {
        let (found, wrong) = settings(&[]);
        assert_eq!(found, Settings::default());
        assert_eq!(wrong, [""; 0]);
        assert_eq!(found.kind, Kind::Legacy);
        assert_eq!((found.limits.min, found.limits.max), (1, 20));
        assert_eq!(found.zero_after, None);
    }

    #[test]
    fn every_label_is_followed() {
        let (found, wrong) = settings(&[
            (TYPE_LABEL, "capacity"),
            (MIN_LABEL, "2"),
            (MAX_LABEL, " 9 "),
            (FACTOR_LABEL, "0"),
            (TARGET_LABEL, "12.5"),
            (PROPORTION_LABEL, "0.5"),
            (DOWN_WINDOW_LABEL, "0s"),
            (ZERO_LABEL, "1"),
            (ZERO_DURATION_LABEL, "20s"),
            (MAX_INFLIGHT_LABEL, "5"),
            (SCHEDULE_LABEL, " 30 at 0 8 * * * for 3600s "),
        ]);
        let expected = Settings {
            kind: Kind::Capacity,
            limits: Limits {
                min: 2,
                max: 9,
                factor: 0,
            },
            target: 12.5,
            proportion: 0.5,
            down_window: Duration::ZERO,
            zero_after: Some(Duration::from_secs(20)),
            per_replica: Some(5),
            schedule: found.schedule.clone(),
        };
        let eight = Duration::from_secs(8 * 3600);
        let scheduled = [eight - Duration::from_secs(1), eight].map(|wall| found.scheduled(wall));
        assert_eq!(scheduled, [None, Some(9)]);
        assert_eq!((found, wrong), (expected, vec![]));
    }

    #[test]
    fn a_target_alone_means_calls_a_second() {
        assert_eq!(settings(&[(TARGET_LABEL, "5")]).0.kind, Kind::Rps);
        let custom = settings(&[(TYPE_LABEL, "rain")]).0.kind;
        assert_eq!(custom, Kind::Custom("rain".into()));
        assert_eq!(custom.to_string(), "rain");
    }

    #[test]
    fn calls_in_a_queue_are_not_held_for_a_window_of_nobody_s_asking() {
        let window = |labels: &[_]| settings(labels).0.down_window.as_secs();
        assert_eq!(window(&[(TYPE_LABEL, "queue")]), 0);
        assert_eq!(
            window(&[(TYPE_LABEL, "queue"), (DOWN_WINDOW_LABEL, "5s")]),
            5
        );
    }

    #[test]
    fn wrong_labels_count_as_unset_and_are_told() {
        for value in ["abc", "-1", "1e3", "", "1000000000000", "+3"] {
            for label in [MIN_LABEL, MAX_LABEL] {
                let (found, wrong) = settings(&[(label, value)]);
                assert_eq!(found, Settings::default(), "{label}={value}");
                assert_eq!(
                    wrong,
                    [format!("label {label}: `{value}` is no number of replicas")]
                );
            }
        }
        for (label, value) in [
            (TARGET_LABEL, "0"),
            (TARGET_LABEL, "NaN"),
            (TARGET_LABEL, "inf"),
            (PROPORTION_LABEL, "1.1"),
            (PROPORTION_LABEL, "-0.5"),
            (DOWN_WINDOW_LABEL, "301s"),
            (DOWN_WINDOW_LABEL, "soon"),
            (FACTOR_LABEL, "101"),
            (MAX_INFLIGHT_LABEL, "0"),
            (ZERO_DURATION_LABEL, "0s"),
            (SCHEDULE_LABEL, "3 at noon for 3600s"),
            (SCHEDULE_LABEL, "1000001 at 0 8 * * * for 3600s"),
        ] {
            let (found, wrong) = settings(&[(label, value)]);
            let expected = Settings {
                // A target that is wrong is one all the same.
                kind: if label == TARGET_LABEL {
                    Kind::Rps
                } else {
                    Kind::Legacy
                },
                ..Settings::default()
            };
            assert_eq!((found, wrong.len()), (expected, 1), "{label}={value}");
        }
    }

    #[test]
    fn limits_that_contradict_each_other_are_put_right() {
        let limits = |min, max| settings(&[(MIN_LABEL, min), (MAX_LABEL, max)]).0.limits;
        assert_eq!((limits("9", "3").min, limits("9", "3").max), (9, 9));
        assert_eq!((limits("0", "0").min, limits("0", "0").max), (1, 1));
    }

    #[test]
    fn only_two_words_allow_sleep() {
        for (word, sleeps) in [
            ("true", true),
            ("1", true),
            ("True", false),
            ("yes", false),
            ("on", false),
            ("", false),
        ] {
            let (found, wrong) = settings(&[(ZERO_LABEL, word)]);
            assert_eq!(
                (found.zero_after.is_some(), wrong.len()),
                (sleeps, 0),
                "{word}"
            );
        }
    }
}
