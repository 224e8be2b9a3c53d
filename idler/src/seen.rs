//! What Prometheus has seen of a function, and whether that means that it is idle.

use std::collections::HashMap;
use std::time::Duration;

use faas_provider::{FunctionName, FunctionStatus, ZERO_LABEL};

/// A value for each `function_name`.
pub(crate) type Values = HashMap<String, f64>;

/// What Prometheus says at one moment, for all functions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Calls that were begun, ever, and as many as there were a window ago.
    pub(crate) started: Values,
    pub(crate) started_before: Values,
    /// Calls that have ended, ever.
    pub(crate) ended: Values,
    /// Calls that are in flight, where the gateway says so.
    pub(crate) in_flight: Values,
    /// Seconds since a call began or ended last, where the gateway says so.
    pub(crate) idle_for: Values,
    /// Asynchronous calls that wait.
    pub(crate) queued: Values,
    /// Replicas a window ago: whoever is in here was watched all the time.
    pub(crate) known_before: Values,
}

/// What the idler thinks of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nobody has called it for a window.
    Idle,
    /// Its labels do not allow it to sleep.
    NoLeave,
    /// It sleeps already.
    Asleep,
    /// It was deployed less than a window ago, or first seen by this process.
    Young,
    /// Prometheus has not watched it for a whole window.
    Unknown,
    /// Calls were begun in the window.
    Called,
    /// Calls are in flight.
    Busy,
    /// Asynchronous calls wait for it.
    Queued,
    /// The gateway refuses: it was asked three times, and it still has replicas.
    Refused,
}

impl Verdict {
    /// The word for it in metrics and logs.
    #[must_use]
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::NoLeave => "no_label",
            Self::Asleep => "asleep",
            Self::Young => "young",
            Self::Unknown => "unknown",
            Self::Called => "called",
            Self::Busy => "in_flight",
            Self::Queued => "queued",
            Self::Refused => "refused",
        }
    }
}

/// Whether a function's labels allow it to sleep.
pub(crate) fn may_sleep(status: &FunctionStatus) -> bool {
    let labels = status.labels.as_ref();
    let zero = labels.and_then(|labels| labels.get(ZERO_LABEL));
    matches!(zero.map(String::as_str), Some("true" | "1"))
}

impl Seen {
    /// Whether a function is idle for `window`. What is not known is not idle.
    pub(crate) fn judge(&self, name: &FunctionName, default: &str, window: Duration) -> Verdict {
        let of = |values: &Values| value(values, name, default);
        if of(&self.known_before).is_none() {
            return Verdict::Unknown;
        }
        let (started, before) = (of(&self.started), of(&self.started_before));
        let since = of(&self.idle_for);
        // A counter that was not there, or has begun anew, has counted calls.
        if started != before || since.is_some_and(|since| since < window.as_secs_f64()) {
            return Verdict::Called;
        }
        let ended = of(&self.ended).unwrap_or_default();
        if started.unwrap_or_default() > ended || of(&self.in_flight) > Some(0.0) {
            return Verdict::Busy;
        }
        if of(&self.queued) > Some(0.0) {
            return Verdict::Queued;
        }
        Verdict::Idle
    }
}

/// The value under `name.namespace`, or under `name` alone where the function is in the default namespace.
fn value(values: &Values, name: &FunctionName, default: &str) -> Option<f64> {
    let bare = (name.namespace() == default).then(|| values.get(name.name()));
    values.get(name.as_str()).or(bare.flatten()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(300);

    fn values(value: f64) -> Values {
        Values::from([("f.openfaas-fn".to_owned(), value)])
    }

    /// A function that was called seven times, long ago.
    fn idle() -> Seen {
        Seen {
            started: values(7.0),
            started_before: values(7.0),
            ended: values(7.0),
            known_before: values(1.0),
            ..Seen::default()
        }
    }

    fn judged(seen: &Seen) -> Verdict {
        let name = FunctionName::new("f", "openfaas-fn");
        seen.judge(&name, "openfaas-fn", WINDOW)
    }

    #[test]
    fn who_was_watched_and_not_called_is_idle() {
        assert_eq!(judged(&idle()), Verdict::Idle);
        let never_called = Seen {
            known_before: values(1.0),
            ..Seen::default()
        };
        assert_eq!(judged(&never_called), Verdict::Idle);
    }

    #[test]
    fn what_is_not_known_is_not_idle() {
        assert_eq!(judged(&Seen::default()), Verdict::Unknown);
        let new = Seen {
            known_before: Values::new(),
            ..idle()
        };
        assert_eq!(judged(&new), Verdict::Unknown);
    }

    #[test]
    fn calls_in_the_window_count_also_the_first_ever_and_those_after_a_restart() {
        for (started, before) in [
            (Some(8.0), Some(7.0)),
            (Some(1.0), None),
            (Some(2.0), Some(7.0)),
            (None, Some(7.0)),
        ] {
            let seen = Seen {
                started: started.map(values).unwrap_or_default(),
                started_before: before.map(values).unwrap_or_default(),
                ..idle()
            };
            assert_eq!(judged(&seen), Verdict::Called, "{started:?} {before:?}");
        }
        let by_the_gateway = Seen {
            idle_for: values(299.0),
            ..idle()
        };
        assert_eq!(judged(&by_the_gateway), Verdict::Called);
        let long_ago = Seen {
            idle_for: values(301.0),
            ..idle()
        };
        assert_eq!(judged(&long_ago), Verdict::Idle);
    }

    #[test]
    fn calls_that_go_on_or_wait_count() {
        let long = Seen {
            ended: values(6.0),
            ..idle()
        };
        assert_eq!(judged(&long), Verdict::Busy);
        let told = Seen {
            in_flight: values(1.0),
            ..idle()
        };
        assert_eq!(judged(&told), Verdict::Busy);
        let queued = Seen {
            queued: values(1.0),
            ..idle()
        };
        assert_eq!(judged(&queued), Verdict::Queued);
    }

    #[test]
    fn a_bare_name_is_one_of_the_default_namespace() {
        let bare = |value| Values::from([("f".to_owned(), value)]);
        let seen = Seen {
            started: bare(8.0),
            started_before: bare(7.0),
            known_before: bare(1.0),
            ..Seen::default()
        };
        assert_eq!(judged(&seen), Verdict::Called);
        let elsewhere = FunctionName::new("f", "dev");
        assert_eq!(
            seen.judge(&elsewhere, "openfaas-fn", WINDOW),
            Verdict::Unknown
        );
    }
}
