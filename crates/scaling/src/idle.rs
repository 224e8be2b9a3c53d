//! When a function may go to sleep.

use std::time::Duration;

use crate::settings::Settings;

/// What a function has done lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    /// The latest of: a call began or ended, the function was first seen, this gateway started, somebody set its replicas, its
    /// replicas changed.
    pub last: Duration,
    /// Calls that are in flight or wait.
    pub calls: u64,
    /// Asynchronous calls that are not through; none where that is not known.
    pub queued: Option<u64>,
}

/// Whether the function has been idle for long enough to sleep, if it may. What is not known counts as busy.
#[must_use]
pub fn may_sleep(now: Duration, activity: Activity, settings: &Settings) -> bool {
    let idle = now.saturating_sub(activity.last);
    settings.zero_after.is_some_and(|after| idle >= after)
        && activity.calls == 0
        && activity.queued == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Activity = Activity {
        last: Duration::from_secs(100),
        calls: 0,
        queued: Some(0),
    };

    fn sleeps(now: u64, activity: Activity, after: Option<u64>) -> bool {
        let settings = Settings {
            zero_after: after.map(Duration::from_secs),
            ..Settings::default()
        };
        may_sleep(Duration::from_secs(now), activity, &settings)
    }

    #[test]
    fn it_sleeps_when_its_time_is_over_and_not_before() {
        assert!(!sleeps(119, IDLE, Some(20)));
        assert!(sleeps(120, IDLE, Some(20)));
    }

    #[test]
    fn it_stays_awake_without_leave_with_calls_and_in_doubt() {
        assert!(!sleeps(5000, IDLE, None));
        for busy in [
            Activity { calls: 1, ..IDLE },
            Activity {
                queued: Some(1),
                ..IDLE
            },
            Activity {
                queued: None,
                ..IDLE
            },
        ] {
            assert!(!sleeps(5000, busy, Some(20)), "{busy:?}");
        }
        // A clock that says that it was used later than now.
        assert!(!sleeps(5, IDLE, Some(20)));
    }
}
