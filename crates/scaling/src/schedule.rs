//! Minimums for times that are known beforehand: `com.openfaas.scale.schedule`.
//!
//! What is open is told from the time on the wall alone, anew at each decision: a clock that jumps opens and closes windows, and
//! changes nothing else.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;

use crate::decision::{Decision, Reason};

/// Most windows of a function.
const MOST_WINDOWS: usize = 32;

/// From this year on, all that there is on some day of the calendar is there once more before croner gives up, in the year 5000,
/// and it gives up soon.
const LATE: i16 = 4970;

/// Windows in time, each with a minimum.
#[derive(Clone, PartialEq)]
pub struct Schedule {
    text: String,
    windows: Arc<[Window]>,
}

#[derive(PartialEq)]
struct Window {
    replicas: u64,
    begins: Cron,
    zone: TimeZone,
    lasts: Duration,
}

impl Schedule {
    /// Reads windows with `;` between them, each `MINIMUM at CRON [ZONE] for DURATION`: `3 at 0 8 * * MON-FRI Europe/Berlin for
    /// 10h`. Without a zone it is UTC. `whole` and `duration` read what their names say.
    pub(crate) fn parse(
        text: &str,
        whole: impl Fn(&str) -> Option<u64>,
        duration: impl Fn(&str) -> Option<Duration>,
    ) -> Option<Self> {
        let windows = text
            .split(';')
            .map(|window| Window::parse(window.trim(), &whole, &duration))
            .take(MOST_WINDOWS + 1)
            .collect::<Option<Vec<_>>>()?;
        (windows.len() <= MOST_WINDOWS).then(|| Self {
            text: text.to_owned(),
            windows: windows.into(),
        })
    }

    /// The most that an open window asks for; none while all are closed. `wall` is the time since 1970.
    #[must_use]
    pub fn minimum(&self, wall: Duration) -> Option<u64> {
        let seconds = i64::try_from(wall.as_secs()).ok()?;
        let now = Timestamp::from_second(seconds).ok()?;
        let open = self.windows.iter().filter(|window| window.is_open(now));
        open.map(|window| window.replicas).max()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule({:?})", self.text)
    }
}

impl Window {
    fn parse(
        text: &str,
        whole: impl Fn(&str) -> Option<u64>,
        duration: impl Fn(&str) -> Option<Duration>,
    ) -> Option<Self> {
        let (replicas, rest) = text.split_once(" at ")?;
        let (begins, lasts) = rest.rsplit_once(" for ")?;
        let (pattern, zone) = zone(begins.trim());
        let pattern = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .build()
            .parse(pattern)
            .ok()?;
        // One that never begins, such as the 30th of February, would be looked for through all times.
        let late = date(LATE, 1, 1).to_zoned(TimeZone::UTC).ok()?;
        pattern.find_next_occurrence(&late, true).ok()?;
        Some(Self {
            replicas: whole(replicas.trim()).filter(|replicas| *replicas > 0)?,
            begins: pattern,
            zone,
            lasts: duration(lasts.trim()).filter(|lasts| !lasts.is_zero())?,
        })
    }

    /// Whether it began last less than its length ago.
    fn is_open(&self, now: Timestamp) -> bool {
        let here = now.to_zoned(self.zone.clone());
        let Ok(began) = self.begins.find_previous_occurrence(&here, true) else {
            return false;
        };
        let since = Duration::try_from(now.duration_since(began.timestamp()));
        since.is_ok_and(|since| since < self.lasts)
    }
}

/// A pattern, and the time zone behind it, where there is one.
fn zone(text: &str) -> (&str, TimeZone) {
    let last = text.rsplit_once(char::is_whitespace);
    let zoned = last.and_then(|(pattern, word)| Some((pattern, TimeZone::get(word).ok()?)));
    zoned.unwrap_or((text, TimeZone::UTC))
}

/// What a window has added to a function whose number otherwise stays as it is, to be taken away when it closes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lent(Option<u64>);

impl Lent {
    /// The decision, with what the open window asks for; or, when it has closed, without what it had added. That stays while
    /// the function is `busy`, and for good if somebody has set another number meanwhile.
    #[must_use]
    pub fn follow(
        &mut self,
        decision: Decision,
        scheduled: Option<u64>,
        (current, min): (u64, u64),
        busy: bool,
    ) -> Decision {
        if scheduled > Some(decision.replicas) {
            self.0 = scheduled;
        } else if self.0 != Some(current) {
            self.0 = None;
        } else if self.0 > scheduled && !busy && decision.replicas > 0 {
            self.0 = scheduled.filter(|scheduled| *scheduled > min);
            return Decision {
                replicas: scheduled.unwrap_or_default().max(min),
                reason: Reason::Schedule,
                ..decision
            };
        }
        decision.at_least(scheduled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Schedule> {
        let hours = |text: &str| {
            Some(Duration::from_secs(
                3600 * text.strip_suffix('h')?.parse::<u64>().ok()?,
            ))
        };
        Schedule::parse(text, |text| text.parse().ok(), hours)
    }

    /// The minimum at a moment of RFC 3339.
    fn at(schedule: &str, moment: &str) -> Option<u64> {
        let moment = moment.parse::<Timestamp>().unwrap().as_second();
        parse(schedule)
            .unwrap()
            .minimum(Duration::from_secs(moment as u64))
    }

    #[test]
    fn a_window_opens_to_the_second_and_closes_to_the_second() {
        // A Friday.
        let hours = "3 at 0 8 * * MON-FRI for 10h";
        for (moment, expected) in [
            ("2026-11-27T07:59:59Z", None),
            ("2026-11-27T08:00:00Z", Some(3)),
            ("2026-11-27T17:59:59Z", Some(3)),
            ("2026-11-27T18:00:00Z", None),
            ("2026-11-28T12:00:00Z", None),
            ("2026-11-30T12:00:00Z", Some(3)),
        ] {
            assert_eq!(at(hours, moment), expected, "{moment}");
        }
    }

    #[test]
    fn of_windows_that_are_open_together_the_highest_counts() {
        let two = "2 at 0 8 * * * for 10h; 9 at 0 12 * * SAT for 1h";
        assert_eq!(at(two, "2026-11-28T11:59:00Z"), Some(2));
        assert_eq!(at(two, "2026-11-28T12:30:00Z"), Some(9));
        assert_eq!(at(two, "2026-11-28T13:00:00Z"), Some(2));
        // One that is longer than from one beginning to the next is always open.
        assert_eq!(
            at("4 at 0 0 * * * for 25h", "2026-11-28T00:30:00Z"),
            Some(4)
        );
    }

    #[test]
    fn hours_are_those_of_the_zone_summer_and_winter() {
        let berlin = "3 at 0 8 * * * Europe/Berlin for 1h";
        assert_eq!(at(berlin, "2026-07-01T06:00:00Z"), Some(3));
        assert_eq!(at(berlin, "2026-07-01T07:00:00Z"), None);
        assert_eq!(at(berlin, "2026-12-01T07:00:00Z"), Some(3));
        // Half past two is not there on this night, and twice on that one.
        let night = "3 at 30 2 * * * Europe/Berlin for 1h";
        assert_eq!(at(night, "2026-03-29T01:15:00Z"), Some(3));
        assert_eq!(at(night, "2026-10-25T00:45:00Z"), Some(3));
        assert_eq!(at(night, "2026-10-25T02:45:00Z"), None);
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in [
            "",
            ";",
            "3",
            "0 8 * * * for 10h",
            "0 at 0 8 * * * for 10h",
            "-1 at 0 8 * * * for 10h",
            "3 at 0 8 * * * for 0h",
            "3 at 0 8 * * * for ever",
            "3 at 0 8 * * *",
            "3 at 0 8 * * for 10h",
            "3 at 0 25 * * * for 10h",
            "3 at 0 8 30 2 * for 10h",
            "3 at 0 8 * * * Europe/Atlantis for 10h",
            "3 at 0 8 * * * for 10h;",
            "3 at 0 8 * * * for 10h, 2 at 0 8 * * * for 10h",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        let windows = |count| vec!["1 at 0 8 * * * for 1h"; count].join(";");
        assert!(parse(&windows(32)).is_some());
        assert!(parse(&windows(33)).is_none());
    }

    #[test]
    fn a_window_that_opens_seldom_is_found() {
        let leap = "2 at 0 0 29 FEB * for 24h";
        assert_eq!(at(leap, "2028-02-29T12:00:00Z"), Some(2));
        assert_eq!(at(leap, "2027-03-01T12:00:00Z"), None);
        assert_eq!(parse(leap).unwrap().minimum(Duration::MAX), None);
        assert_eq!(parse(leap).unwrap().minimum(Duration::ZERO), None);
    }

    fn decision(replicas: u64) -> Decision {
        Decision {
            replicas,
            need: replicas,
            load: 0.0,
            reason: Reason::Legacy,
        }
    }

    /// The replicas after each moment, of a function that keeps what it has: `(current, scheduled, busy)` at each.
    fn followed(moments: &[(u64, Option<u64>, bool)]) -> Vec<u64> {
        let mut lent = Lent::default();
        let one = |(current, scheduled, busy): &(u64, Option<u64>, bool)| {
            lent.follow(decision(*current), *scheduled, (*current, 1), *busy)
                .replicas
        };
        moments.iter().map(one).collect()
    }

    #[test]
    fn what_a_window_has_added_goes_with_it() {
        let open = Some(3);
        assert_eq!(
            followed(&[
                (1, open, false),
                (3, open, false),
                (3, None, false),
                (1, None, false)
            ]),
            [3, 3, 1, 1]
        );
        let (wide, narrow) = (Some(5), Some(3));
        assert_eq!(
            followed(&[
                (1, wide, false),
                (5, narrow, false),
                (3, narrow, false),
                (3, None, false)
            ]),
            [5, 3, 3, 1]
        );
    }

    #[test]
    fn it_stays_for_as_long_as_it_is_busy() {
        assert_eq!(
            followed(&[(1, Some(3), false), (3, None, true), (3, None, false)]),
            [3, 3, 1]
        );
    }

    #[test]
    fn a_number_of_somebody_else_s_stays() {
        assert_eq!(followed(&[(5, Some(3), false), (5, None, false)]), [5, 5]);
        assert_eq!(
            followed(&[(1, Some(3), false), (7, Some(3), false), (3, None, false)]),
            [3, 7, 3]
        );
    }
}
