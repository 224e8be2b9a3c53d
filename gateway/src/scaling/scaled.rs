//! One function as the scaler knows it: what it was measured at, what was decided, and why.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use faas_provider::FunctionEndpoints;
use faas_scaling::alert::{self, Limits};
use faas_scaling::decision::{Decision, Measured, Reason, decide};
use faas_scaling::floor::Floor;
use faas_scaling::idle::{Activity, may_sleep};
use faas_scaling::legacy;
use faas_scaling::load::{Load, Second};
use faas_scaling::needs::Needs;
use faas_scaling::schedule::Lent;
use faas_scaling::settings::{Kind, LabelError, Settings};

use super::cpu::Cpu;
use super::meter::Now;
use super::policy::Policy;
use crate::endpoints;

/// Changes that are remembered of each function.
const CHANGES: usize = 20;
/// Seconds of load that make a burst.
const BURST_WINDOW: usize = 2;
/// A number that the provider has taken and that does not show is not asked for again before.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a function that is woken by its calls may get more for those that have gathered.
const WAKING: Duration = Duration::from_secs(5);

/// The state of one function.
pub(super) struct Scaled {
    /// Those that the settings were read from, once they were.
    labels: Option<Arc<BTreeMap<String, String>>>,
    pub(super) settings: Settings,
    load: Load,
    needs: Needs,
    rule: legacy::State,
    floor: Floor,
    lent: Lent,
    pub(super) cpu: Cpu,
    /// Replicas that were asked for, as the table shows them, and when that changed last.
    pub(super) replicas: u64,
    changed: Duration,
    pub(super) ready: u64,
    /// What we asked the provider for last, and when.
    asked: Option<(u64, Duration)>,
    /// Whether the provider is being asked just now.
    pub(super) asking: bool,
    pub(super) latest: Option<Latest>,
    pub(super) changes: VecDeque<Change>,
}

/// What was measured and decided last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latest {
    pub(super) measured: Measured,
    /// What its schedule asked for.
    pub(super) scheduled: Option<u64>,
    pub(super) decision: Decision,
}

/// A change of the number of replicas.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// In milliseconds since 1970.
    pub(super) at_ms: u64,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) reason: Reason,
    /// What led to it, where we decided.
    pub(super) latest: Option<Latest>,
    /// What the provider said, where it refused.
    pub(super) failure: Option<String>,
}

/// What the scaler sees of a function at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) now: Duration,
    /// Since 1970; schedules go by it, and nothing else.
    pub(super) wall: Duration,
    pub(super) calls: Now,
    /// When a call began or ended last.
    pub(super) used: Option<Duration>,
    /// Asynchronous calls that are not through, where that is known.
    pub(super) queued: Option<u64>,
}

impl Scaled {
    /// A function that is seen for the first time. What it has counts as needed, so that the start of a gateway takes nothing
    /// away.
    pub(super) fn new(now: Duration, function: &FunctionEndpoints) -> Self {
        let mut needs = Needs::default();
        let settings = Settings::default();
        needs.remember(now, function.replicas, settings.down_window);
        Self {
            labels: None,
            settings,
            load: Load::default(),
            needs,
            rule: legacy::State::default(),
            floor: Floor::default(),
            lent: Lent::default(),
            cpu: Cpu::default(),
            replicas: function.replicas,
            changed: now,
            ready: 0,
            asked: None,
            asking: false,
            latest: None,
            changes: VecDeque::new(),
        }
    }

    pub(super) fn push(&mut self, second: Second) {
        self.load.push(second);
    }

    /// Reads the labels again if they are others than before; says which are wrong.
    pub(super) fn follow_labels(
        &mut self,
        policy: &Policy,
        function: &FunctionEndpoints,
    ) -> Vec<LabelError> {
        if self.labels.as_ref() == Some(&function.labels) {
            return Vec::new();
        }
        let labels = Arc::clone(&function.labels);
        let (settings, wrong) = policy.settings(|name| labels.get(name).map(String::as_str));
        (self.settings, self.labels) = (settings, Some(labels));
        wrong
    }

    /// Takes notice of a number of replicas that somebody else asked for: it holds for a down-window. What slept and was called
    /// was woken by its calls.
    pub(super) fn follow_replicas(
        &mut self,
        now: Duration,
        function: &FunctionEndpoints,
        used: Option<Duration>,
    ) {
        self.ready = endpoints::ready(function) as u64;
        if function.replicas == self.replicas {
            return;
        }
        let ours = self
            .asked
            .is_some_and(|(asked, _)| asked == function.replicas);
        if !ours {
            self.needs
                .remember(now, function.replicas, self.settings.down_window);
            let reason = match self.is_woken(now, function.replicas, used) {
                true => Reason::Activation,
                false => Reason::Manual,
            };
            self.note(self.replicas, function.replicas, reason, None);
        }
        self.replicas = function.replicas;
        self.changed = now;
        self.asked = None;
    }

    /// Whether its calls woke the function: it slept and was called since, or it was woken so a moment ago, and gets more.
    fn is_woken(&self, now: Duration, replicas: u64, used: Option<Duration>) -> bool {
        if self.replicas == 0 {
            return used > Some(self.changed);
        }
        let last = self.changes.back();
        let woke = last.is_some_and(|change| change.reason == Reason::Activation);
        woke && replicas > self.replicas && now.saturating_sub(self.changed) < WAKING
    }

    /// The replicas that the function should have, and why.
    pub(super) fn decide(&mut self, policy: &Policy, seen: &Seen) -> Decision {
        let measured = self.measured(policy, seen);
        let mut decision = self.by_kind(policy, seen.now, &measured);
        let activity = Activity {
            last: seen.used.unwrap_or_default().max(self.changed),
            calls: seen.calls.calls,
            queued: seen.queued,
        };
        if decision.replicas > 0 && may_sleep(seen.now, activity, &self.settings) {
            (decision.replicas, decision.reason) = (0, Reason::Idle);
        }
        let scheduled = self.scheduled(seen.wall);
        decision = self.with_schedule(decision, scheduled);
        let lifted = policy.keeps_minimum && self.settings.zero_after.is_none();
        if self.replicas == 0 && decision.replicas == 0 && lifted {
            decision.replicas = self.settings.limits.min;
        }
        self.latest = Some(Latest {
            measured,
            scheduled,
            decision,
        });
        decision
    }

    /// What an open window asks for comes on top of everything else, also of sleep.
    fn with_schedule(&mut self, decision: Decision, scheduled: Option<u64>) -> Decision {
        match self.settings.kind {
            Kind::Legacy => {
                let busy = legacy::is_busy(&self.load);
                let (current, min) = (self.replicas, self.settings.limits.min);
                self.lent.follow(decision, scheduled, (current, min), busy)
            }
            _ => decision.at_least(scheduled),
        }
    }

    /// What its schedule asks for at this time since 1970, also where somebody else decides.
    pub(super) fn scheduled(&self, wall: Duration) -> Option<u64> {
        match self.settings.kind {
            Kind::Custom(_) => None,
            _ => self.settings.scheduled(wall),
        }
    }

    fn by_kind(&mut self, policy: &Policy, now: Duration, measured: &Measured) -> Decision {
        let stays = |replicas, reason| Decision {
            replicas,
            need: replicas,
            load: measured.load,
            reason,
        };
        match &self.settings.kind {
            Kind::Legacy => {
                let (current, settings) = (self.replicas, &self.settings);
                let (replicas, state) =
                    legacy::decide(now, &self.load, current, settings, policy.rule, self.rule);
                self.rule = state;
                stays(replicas, Reason::Legacy)
            }
            Kind::Custom(_) => stays(self.replicas, Reason::Manual),
            _ => {
                let (ratio, settings) = (policy.burst_ratio, self.measurable(policy));
                let decision = decide(now, measured, &settings, &self.needs, ratio);
                let window = settings.down_window;
                self.needs.remember(now, decision.need, window);
                decision
            }
        }
    }

    /// The settings, but for a function whose load nobody can measure as it wants: it is scaled by its calls a second.
    fn measurable(&self, policy: &Policy) -> Cow<'_, Settings> {
        if self.settings.kind != Kind::Cpu || !self.cpu.is_unknown {
            return Cow::Borrowed(&self.settings);
        }
        let usual = policy.settings(|_| None).0;
        Cow::Owned(Settings {
            kind: Kind::Rps,
            target: usual.target,
            proportion: usual.proportion,
            ..self.settings.clone()
        })
    }

    fn measured(&self, policy: &Policy, seen: &Seen) -> Measured {
        let average = |window| match self.settings.kind {
            Kind::Capacity => self.load.average(window, |second| second.concurrency),
            Kind::Queue => seen.queued.unwrap_or_default() as f64,
            Kind::Legacy => self.load.success_rate(0),
            Kind::Cpu if !self.cpu.is_unknown => self.cpu.average(),
            _ => self.load.average(window, |second| second.arrivals as f64),
        };
        Measured {
            current: self.replicas,
            ready: self.ready,
            load: average(policy.fast_window),
            burst: average(BURST_WINDOW),
            // What sleeps is woken by those who wait, unless they wait in a queue.
            waiting: match self.settings.kind {
                Kind::Queue => seen.queued.unwrap_or_default(),
                _ => 0,
            },
            floor: self.floor.at(seen.now),
        }
    }

    /// What an alert does: at once to a function of type legacy, which it is for, or to all; for others it is a floor of what
    /// is decided.
    pub(super) fn alert(
        &mut self,
        now: Duration,
        firing: bool,
        current: u64,
        limits: Limits,
        at_once: bool,
    ) -> Option<u64> {
        let steps = match firing {
            true => self.floor.fires(now, current, limits),
            false => {
                self.floor.resolved();
                true
            }
        };
        let at_once = at_once || self.settings.kind == Kind::Legacy;
        let replicas = alert::replicas(firing, current, limits);
        let replicas = replicas.max(self.scheduled(wall()).unwrap_or_default().min(current));
        (steps && at_once && replicas != current).then_some(replicas)
    }

    /// Notes that an alert has led to so many replicas.
    pub(super) fn alerted(&mut self, now: Duration, replicas: u64) {
        self.asked = Some((replicas, now));
        self.note(self.replicas, replicas, Reason::Floor, None);
    }

    /// Whether the provider is to be asked for this number now.
    pub(super) fn is_to_ask(&self, now: Duration, replicas: u64) -> bool {
        let asked_lately = self
            .asked
            .is_some_and(|(asked, at)| asked == replicas && now.saturating_sub(at) < PATIENCE);
        replicas != self.replicas && !self.asking && !asked_lately
    }

    /// Notes that the provider is asked for this number.
    pub(super) fn ask(&mut self, now: Duration, replicas: u64) {
        self.asking = true;
        self.asked = Some((replicas, now));
    }

    /// Notes what the provider said. What it refused may be asked for again at once.
    pub(super) fn answered(
        &mut self,
        (from, to): (u64, u64),
        reason: Reason,
        failure: Option<String>,
    ) {
        self.asking = false;
        if failure.is_some() {
            self.asked = None;
        }
        self.note(from, to, reason, failure);
    }

    /// Notes that the provider is not asked after all.
    pub(super) fn withdraw(&mut self) {
        (self.asking, self.asked) = (false, None);
    }

    /// Begins to decide where another gateway did, or nobody: what is there counts as needed, and what was seen of the rule may
    /// be long past.
    pub(super) fn take_over(&mut self, now: Duration) {
        let window = self.settings.down_window;
        self.needs.remember(now, self.replicas, window);
        self.rule = legacy::State::default();
    }

    /// Notes that the function was seen asleep, though it may have been woken since.
    pub(super) fn slept(&mut self, now: Duration) {
        (self.replicas, self.changed, self.asked) = (0, now, None);
    }

    fn note(&mut self, from: u64, to: u64, reason: Reason, failure: Option<String>) {
        // A provider that refuses is told of once, not at every tick.
        if failure.is_some()
            && self
                .changes
                .back()
                .is_some_and(|last| last.failure == failure)
        {
            return;
        }
        if self.changes.len() == CHANGES {
            self.changes.pop_front();
        }
        let of_others = matches!(reason, Reason::Manual | Reason::Activation);
        self.changes.push_back(Change {
            at_ms: wall().as_millis() as u64,
            from,
            to,
            reason,
            latest: self.latest.filter(|_| !of_others),
            failure,
        });
    }
}

/// The time since 1970, as this machine has it.
pub(super) fn wall() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}
