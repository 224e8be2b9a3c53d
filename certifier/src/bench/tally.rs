//! What became of calls, counted.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::words::words;

/// Three digits of every latency are kept, however long it is.
const DIGITS: u8 = 3;

words! {
    /// Why a call has no answer.
    Fault: "error" {
        NoConnection = "no-connection", "No connection could be made.";
        BrokeOff = "broke-off", "The connection ended before the answer did.";
        TimedOut = "timed-out", "The answer was not complete in time.";
        NotSent = "not-sent", "No connection became free in time.";
    }
}

/// Calls, counted. Latencies are those of answers, whatever their status, and of calls that were waited for in vain: these
/// have the time that they were waited for. What broke off says nothing about how long an answer takes.
#[derive(Clone, Debug)]
pub struct Tally {
    pub(super) due: u64,
    pub(super) sent: u64,
    pub(super) crowded: u64,
    /// How long the calls that were sent were on their way out: from the first one's due time to the last one's start, and
    /// the gap to the next.
    pub(super) sending: Duration,
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) faults: BTreeMap<Fault, (u64, String)>,
    since_due: Histogram<u64>,
    since_sent: Histogram<u64>,
    /// How late the schedule itself was.
    late: Histogram<u64>,
}

/// How one call ended.
pub(super) enum Ended {
    /// With this status.
    Answered(u16),
    /// Without an answer; in words.
    Lost(Fault, String),
}

impl Tally {
    /// Nothing yet, of so many calls that are going to be due.
    #[expect(clippy::expect_used, reason = "0 to 5 digits are taken")]
    pub(super) fn new(due: u64) -> Self {
        let histogram = || Histogram::new(DIGITS).expect("a good number of digits");
        Self {
            due,
            sent: 0,
            crowded: 0,
            sending: Duration::ZERO,
            statuses: BTreeMap::new(),
            faults: BTreeMap::new(),
            since_due: histogram(),
            since_sent: histogram(),
            late: histogram(),
        }
    }

    /// Counts a call; `since_sent` is `None` where it was not sent.
    pub(super) fn count(
        &mut self,
        ended: Ended,
        since_due: Duration,
        since_sent: Option<Duration>,
    ) {
        let timed = match ended {
            Ended::Answered(status) => {
                *self.statuses.entry(status).or_default() += 1;
                true
            }
            Ended::Lost(fault, words) => {
                let counted = self.faults.entry(fault).or_insert((0, words));
                counted.0 += 1;
                matches!(fault, Fault::TimedOut | Fault::NotSent)
            }
        };
        self.sent += u64::from(since_sent.is_some());
        if timed {
            note(&mut self.since_due, since_due);
            if let Some(since_sent) = since_sent {
                note(&mut self.since_sent, since_sent);
            }
        }
    }

    /// Remembers how late the schedule released a call.
    pub(super) fn released(&mut self, late: Duration) {
        note(&mut self.late, late);
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.due += other.due;
        self.sent += other.sent;
        self.crowded += other.crowded;
        self.sending += other.sending;
        for (&status, count) in &other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        for (&fault, (count, words)) in &other.faults {
            self.faults.entry(fault).or_insert((0, words.clone())).0 += count;
        }
        // These grow by themselves, so nothing is out of their range.
        let _ = self.since_due.add(&other.since_due);
        let _ = self.since_sent.add(&other.since_sent);
        let _ = self.late.add(&other.late);
    }

    /// Calls that were due.
    pub fn due(&self) -> u64 {
        self.due
    }

    /// Calls that were sent, or tried to be.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Calls that found no connection free when they were due.
    pub fn crowded(&self) -> u64 {
        self.crowded
    }

    /// Calls that were sent, a second; 0 before the first.
    pub fn sent_per_second(&self) -> f64 {
        match self.sending.is_zero() {
            true => 0.0,
            false => self.sent as f64 / self.sending.as_secs_f64(),
        }
    }

    /// Answers by status.
    pub fn statuses(&self) -> &BTreeMap<u16, u64> {
        &self.statuses
    }

    /// Calls without an answer by kind, each with the words of the first.
    pub fn faults(&self) -> &BTreeMap<Fault, (u64, String)> {
        &self.faults
    }

    /// Whether every call was answered, with a status below 400.
    pub fn all_answered(&self) -> bool {
        let good: u64 = self.statuses.range(..400).map(|(_, count)| count).sum();
        good == self.due
    }

    /// Latencies that were counted.
    pub fn timed(&self) -> u64 {
        self.since_due.len()
    }

    /// The latency that this part of the calls (0 to 1) stayed within, counted from when they were due; `None` without any.
    pub fn latency(&self, part: f64) -> Option<Duration> {
        value(&self.since_due, part)
    }

    /// The same counted from when they were sent: without the wait for a connection that calls before them kept busy.
    pub fn latency_since_sent(&self, part: f64) -> Option<Duration> {
        value(&self.since_sent, part)
    }

    /// How many latencies, counted from when the calls were due, are at least this.
    pub fn at_least(&self, latency: Duration) -> u64 {
        self.since_due.count_between(micros(latency), u64::MAX)
    }

    /// How late the schedule was, at most, for this part of the calls (0 to 1).
    pub fn schedule_late(&self, part: f64) -> Option<Duration> {
        value(&self.late, part)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn note(histogram: &mut Histogram<u64>, time: Duration) {
    // Below the largest value there is, which no run lasts for.
    let _ = histogram.record(micros(time));
}

fn value(histogram: &Histogram<u64>, part: f64) -> Option<Duration> {
    let micros = histogram.value_at_quantile(part);
    (!histogram.is_empty()).then(|| Duration::from_micros(micros))
}
