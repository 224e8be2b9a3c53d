//! A function, its callers and its replicas, played in steps of a few milliseconds: what the decisions lead to.

use std::collections::VecDeque;
use std::time::Duration;

use faas_scaling::decision::{Decision, Measured, Reason, decide};
use faas_scaling::idle::{Activity, may_sleep};
use faas_scaling::legacy::{self, Rule};
use faas_scaling::load::{Load, Second};
use faas_scaling::needs::Needs;
use faas_scaling::schedule::Lent;
use faas_scaling::settings::{Kind, Settings};

/// Steps in a second.
const STEPS: u64 = 200;
const STEP: f64 = 1.0 / STEPS as f64;
/// Seconds from one decision to the next, of the averaging window, and of the one for bursts.
const TICK: u64 = 2;
const FAST_WINDOW: usize = 6;
const BURST_WINDOW: usize = 2;

/// What is played.
pub(crate) struct Scenario<'a> {
    pub(crate) settings: Settings,
    pub(crate) burst_ratio: f64,
    /// Calls a second at this second.
    pub(crate) rate: Box<dyn FnMut(f64) -> f64 + 'a>,
    /// Asynchronous calls that wait from the beginning.
    pub(crate) queued: u64,
    /// Seconds that a call takes.
    pub(crate) service: f64,
    /// Seconds from a new replica to its first call.
    pub(crate) cold: f64,
    /// Replicas at the beginning.
    pub(crate) replicas: u64,
    pub(crate) seconds: u64,
    /// What the clock on the wall shows at this second, since 1970.
    pub(crate) wall: fn(u64) -> Duration,
}

impl Default for Scenario<'_> {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            burst_ratio: 2.0,
            rate: Box::new(|_| 0.0),
            queued: 0,
            service: 0.1,
            cold: 1.0,
            replicas: 1,
            seconds: 300,
            wall: Duration::from_secs,
        }
    }
}

/// What came of it.
pub(crate) struct Played {
    /// When the number of replicas that is asked for changed, and to what.
    pub(crate) changes: Vec<(u64, u64)>,
    /// What is asked for at each decision.
    pub(crate) ticks: Vec<u64>,
    /// Seconds from each call's arrival to its end, sorted.
    pub(crate) latencies: Vec<f64>,
    /// When the last call had ended.
    pub(crate) through: f64,
    /// Calls that had not.
    pub(crate) left: usize,
}

impl Played {
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies[(last as f64 * share) as usize]
    }
}

/// The state of the play at one moment.
struct Play<'a> {
    scenario: Scenario<'a>,
    at: f64,
    requested: u64,
    ready: u64,
    /// When replicas that are on their way will be ready, the first first.
    coming: VecDeque<f64>,
    /// When each call that waits arrived.
    waiting: VecDeque<f64>,
    /// When each call in flight will end, and arrived.
    running: VecDeque<(f64, f64)>,
    /// A part of a call that has not arrived yet.
    part: f64,
    second: Second,
    load: Load,
    needs: Needs,
    rule: legacy::State,
    lent: Lent,
    used: f64,
    played: Played,
}

pub(crate) fn play(scenario: Scenario<'_>) -> Played {
    let mut play = Play {
        at: 0.0,
        requested: scenario.replicas,
        ready: scenario.replicas,
        coming: VecDeque::new(),
        waiting: (0..scenario.queued).map(|_| 0.0).collect(),
        running: VecDeque::new(),
        part: 0.0,
        second: Second::default(),
        load: Load::default(),
        needs: Needs::default(),
        rule: legacy::State::default(),
        lent: Lent::default(),
        used: 0.0,
        played: Played {
            changes: Vec::new(),
            ticks: Vec::new(),
            latencies: Vec::new(),
            through: 0.0,
            left: 0,
        },
        scenario,
    };
    if play.scenario.settings.kind == Kind::Queue && play.requested == 0 {
        play.decide(0);
    }
    for second in 1..=play.scenario.seconds {
        for _ in 0..STEPS {
            play.step();
        }
        play.load.push(std::mem::take(&mut play.second));
        if second % TICK == 0 {
            play.decide(second);
        }
    }
    play.played.left = play.waiting.len() + play.running.len();
    play.played.latencies.sort_by(f64::total_cmp);
    play.played
}

impl Play<'_> {
    fn step(&mut self) {
        while self.coming.front().is_some_and(|at| *at <= self.at) {
            self.coming.pop_front();
            self.ready += 1;
        }
        self.end_calls();
        self.part += (self.scenario.rate)(self.at) * STEP;
        while self.part >= 1.0 - 1e-9 {
            self.part -= 1.0;
            self.second.arrivals += 1;
            self.waiting.push_back(self.at);
            self.used = self.at;
        }
        while self.has_room() {
            let Some(arrived) = self.waiting.pop_front() else {
                break;
            };
            let end = self.at + self.scenario.service;
            self.running.push_back((end, arrived));
        }
        self.second.concurrency += (self.waiting.len() + self.running.len()) as f64 * STEP;
        self.at += STEP;
    }

    fn end_calls(&mut self) {
        while let Some((end, arrived)) = self.running.front().copied() {
            if end > self.at + 1e-9 {
                break;
            }
            self.running.pop_front();
            self.second.succeeded += 1;
            self.played.latencies.push(end - arrived);
            (self.played.through, self.used) = (end, end);
        }
    }

    fn has_room(&self) -> bool {
        match self.scenario.settings.per_replica {
            Some(each) => (self.running.len() as u64) < self.ready * each,
            None => self.ready > 0,
        }
    }

    fn decide(&mut self, second: u64) {
        let now = Duration::from_secs(second);
        let settings = self.scenario.settings.clone();
        let mut decision = match settings.kind {
            Kind::Legacy => self.by_rule(now, &settings),
            _ => self.by_load(now, &settings),
        };
        let calls = (self.waiting.len() + self.running.len()) as u64;
        let activity = Activity {
            last: Duration::from_secs_f64(self.used),
            calls,
            queued: Some(0),
        };
        if may_sleep(now, activity, &settings) {
            (decision.replicas, decision.reason) = (0, Reason::Idle);
        }
        let scheduled = settings.scheduled((self.scenario.wall)(second));
        let decision = match settings.kind {
            Kind::Legacy => {
                let (current, busy) = (self.requested, legacy::is_busy(&self.load));
                let numbers = (current, settings.limits.min);
                self.lent.follow(decision, scheduled, numbers, busy)
            }
            _ => decision.at_least(scheduled),
        };
        self.scale(second, decision.replicas);
    }

    fn by_rule(&mut self, now: Duration, settings: &Settings) -> Decision {
        let (current, rule) = (self.requested, Rule::default());
        let (replicas, state) = legacy::decide(now, &self.load, current, settings, rule, self.rule);
        self.rule = state;
        Decision {
            replicas,
            need: replicas,
            load: self.load.success_rate(0),
            reason: Reason::Legacy,
        }
    }

    fn by_load(&mut self, now: Duration, settings: &Settings) -> Decision {
        let measured = self.measured(&settings.kind);
        let decision = decide(
            now,
            &measured,
            settings,
            &self.needs,
            self.scenario.burst_ratio,
        );
        self.needs
            .remember(now, decision.need, settings.down_window);
        decision
    }

    fn measured(&self, kind: &Kind) -> Measured {
        let calls = (self.waiting.len() + self.running.len()) as f64;
        let average = |window| match kind {
            Kind::Rps => self.load.average(window, |second| second.arrivals as f64),
            Kind::Queue => calls,
            _ => self.load.average(window, |second| second.concurrency),
        };
        Measured {
            current: self.requested,
            ready: self.ready,
            load: average(FAST_WINDOW),
            burst: average(BURST_WINDOW),
            waiting: self.waiting.len() as u64,
            floor: None,
        }
    }

    fn scale(&mut self, second: u64, replicas: u64) {
        self.played.ticks.push(replicas);
        if replicas == self.requested {
            return;
        }
        self.played.changes.push((second, replicas));
        for _ in self.requested..replicas {
            self.coming.push_back(self.at + self.scenario.cold);
        }
        for _ in replicas..self.requested {
            // Those that are not there yet go first.
            if self.coming.pop_back().is_none() {
                self.ready -= 1;
            }
        }
        self.requested = replicas;
    }
}
