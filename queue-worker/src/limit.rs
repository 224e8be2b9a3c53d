//! How many calls of one function may run at once, learnt from its answers: more after successes, fewer after 429.

use std::time::{Duration, Instant};

/// Where learning begins: nobody here knows how many replicas there are.
const START: f64 = 10.0;
/// How much of the limit is left after a 429.
const LOWERED: f64 = 0.7;
/// By how much a success raises the limit beyond where there was no room the last time: a half more in a round.
const FAST: f64 = 0.5;
/// How long a 429 counts.
const MOMENT: Duration = Duration::from_secs(1);
/// A function is busy enough to learn from where so much of its limit runs.
const BUSY: f64 = 0.8;
/// First pause of a function that has no room for a single call.
const PAUSE: Duration = Duration::from_millis(100);

/// The limit of one function.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    /// The worker's own, or the function's annotation.
    most: usize,
    learns: bool,
    value: f64,
    /// Where it was refused last: beyond that nothing is known, and it is found out faster.
    ceiling: f64,
    lowered: Option<Instant>,
    /// Answers since then, and how many calls may have been under way then.
    answers: usize,
    under_way: usize,
    pause: Duration,
    longest_pause: Duration,
    resume: Option<Instant>,
}

impl Limit {
    /// At most `most`; one that learns pauses for at most `longest_pause`.
    pub(crate) fn new(most: usize, learns: bool, longest_pause: Duration) -> Self {
        Self {
            most: most.max(1),
            learns,
            value: START,
            ceiling: f64::INFINITY,
            lowered: None,
            answers: 0,
            under_way: 0,
            pause: PAUSE,
            longest_pause,
            resume: None,
        }
    }

    /// Says what the function's annotation allows.
    pub(crate) fn set_most(&mut self, most: usize) {
        self.most = most.max(1);
    }

    /// Calls that may run at once now.
    pub(crate) fn now(&self, now: Instant) -> usize {
        match self.resume {
            Some(resume) if now < resume => 0,
            _ if self.learns => self.whole().min(self.most),
            _ => self.most,
        }
    }

    /// When a pause ends.
    pub(crate) fn resumes(&self) -> Option<Instant> {
        self.resume
    }

    /// A call succeeded, while `running` of them ran, it included. Where a 429 was seen a moment ago nothing is raised: quick
    /// calls would be back at too many before the moment is over.
    pub(crate) fn succeeded(&mut self, running: usize, now: Instant) {
        self.resume = None;
        self.pause = PAUSE;
        self.answers = self.answers.saturating_add(1);
        #[expect(clippy::cast_precision_loss, reason = "a number of calls at once")]
        let (running, most) = (running as f64, self.most as f64);
        if running >= BUSY * self.value && !self.was_lowered(now) {
            let step = match self.value >= self.ceiling {
                true => FAST,
                false => 1.0 / self.value,
            };
            self.value = (self.value + step).min(most.max(START));
        }
    }

    /// A call was answered 429. Calls that were under way when the limit was lowered say nothing new.
    pub(crate) fn refused(&mut self, now: Instant) {
        let rests = self.resume.is_some_and(|resume| now < resume);
        let old = self.was_lowered(now) && self.answers < self.under_way;
        self.answers = self.answers.saturating_add(1);
        if !self.learns || rests || (old && self.resume.is_none()) {
            return;
        }
        let limit = self.whole().min(self.most);
        (self.lowered, self.answers, self.under_way) = (Some(now), 0, limit);
        if limit == 1 {
            self.resume = Some(now + self.pause);
            self.pause = (self.pause * 2).min(self.longest_pause.max(PAUSE));
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a number of calls at once")]
        let limit = limit as f64;
        // Refused where it was the last time: there is room for one less.
        let same = (limit - self.ceiling).abs() <= 1.0;
        let lowered = if same {
            limit - 1.0
        } else {
            (limit * LOWERED).floor()
        };
        (self.ceiling, self.value) = (limit, lowered.max(1.0));
    }

    fn was_lowered(&self, now: Instant) -> bool {
        self.lowered.is_some_and(|last| now < last + MOMENT)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 1 to the worker's limit"
    )]
    fn whole(&self) -> usize {
        self.value as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn successes_of_a_busy_function_raise_it_to_the_most() {
        let now = Instant::now();
        let mut limit = Limit::new(12, true, SECOND);
        assert_eq!(limit.now(now), 10);
        limit.succeeded(7, now);
        (0..10).for_each(|_| limit.succeeded(10, now));
        assert_eq!(limit.now(now), 10);
        (0..2).for_each(|_| limit.succeeded(10, now));
        assert_eq!(limit.now(now), 11);
        (0..100).for_each(|_| limit.succeeded(12, now));
        assert_eq!(limit.now(now), 12);
    }

    #[test]
    fn a_burst_of_refusals_lowers_it_once_and_nothing_raises_it_for_a_moment() {
        let mut now = Instant::now();
        let mut limit = Limit::new(50, true, SECOND);
        (0..10).for_each(|_| limit.refused(now));
        assert_eq!(limit.now(now), 7);
        (0..100).for_each(|_| limit.succeeded(7, now));
        assert_eq!(limit.now(now), 7);
        limit.refused(now);
        assert_eq!(
            limit.now(now),
            4,
            "none of the calls from before is under way any more"
        );
        now += SECOND;
        (0..5).for_each(|_| limit.succeeded(4, now));
        assert_eq!(limit.now(now), 5);
    }

    #[test]
    fn beyond_where_there_was_no_room_the_last_time_it_grows_faster() {
        let begin = Instant::now();
        let mut limit = Limit::new(50, true, SECOND);
        limit.refused(begin);
        assert_eq!(limit.now(begin), 7);
        let later = begin + SECOND;
        let mut rounds = |count: usize| {
            for _ in 0..count {
                let calls = limit.now(later);
                (0..calls).for_each(|_| limit.succeeded(calls, later));
            }
            limit.now(later)
        };
        assert_eq!(rounds(3), 9, "as far as is known");
        let grown = rounds(7);
        assert!((35..=50).contains(&grown), "{grown}");
    }

    #[test]
    fn where_there_was_no_room_twice_one_call_less_is_enough() {
        let mut now = Instant::now();
        let mut limit = Limit::new(50, true, SECOND);
        for left in [7, 9, 9] {
            while limit.now(now) < 10 {
                limit.succeeded(10, now);
            }
            limit.refused(now);
            assert_eq!(limit.now(now), left);
            now += SECOND;
        }
    }

    #[test]
    fn a_function_without_room_for_one_is_left_alone_for_longer_and_longer() {
        let mut now = Instant::now();
        let mut limit = Limit::new(1, true, SECOND);
        for pause in [100, 200, 400, 800, 1000, 1000] {
            limit.refused(now);
            assert_eq!(limit.now(now), 0);
            now += Duration::from_millis(pause);
            assert_eq!(limit.now(now), 1, "after {pause}");
        }
        limit.succeeded(1, now);
        now += SECOND;
        limit.refused(now);
        assert_eq!(limit.resumes(), Some(now + PAUSE));
    }

    #[test]
    fn one_that_does_not_learn_is_what_was_set() {
        let now = Instant::now();
        let mut limit = Limit::new(50, false, SECOND);
        limit.refused(now);
        assert_eq!(limit.now(now), 50);
        limit.set_most(3);
        assert_eq!(limit.now(now), 3);
    }

    #[test]
    fn what_the_function_allows_holds_for_what_is_learnt() {
        let mut limit = Limit::new(50, true, SECOND);
        limit.set_most(2);
        assert_eq!(limit.now(Instant::now()), 2);
        limit.refused(Instant::now());
        assert_eq!(limit.now(Instant::now()), 1);
    }
}
