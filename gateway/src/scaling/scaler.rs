//! Measures every function each second, decides at every tick, and asks the provider for what was decided.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use faas_provider::{Client, EndpointTable, FunctionEndpoints, FunctionName};
use faas_queue::Queue;
use faas_scaling::alert::{self, Limits};
use faas_scaling::decision::Reason;
use faas_scaling::lease::Role;
use faas_scaling::peers::Report;
use prometheus::Registry;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::Autoscaler;
use super::company::Company;
use super::meter::{Falling, Meter};
use super::policy::Policy;
use super::raise::{Raiser, Refusal};
use super::scaled::{Scaled, Seen, wall};
use super::series::Series;
use super::together::Held;
use crate::endpoints::Endpoints;
use crate::metrics::Metrics;

/// Longest wait for the table to show that a function sleeps, once the provider has said so.
const TABLE_LAG: Duration = Duration::from_secs(5);
/// How long other gateways are told of a function that is not called any more: what they did not hear they hear again.
const TOLD: Duration = Duration::from_secs(10);

/// Scales functions.
pub(crate) struct Scaler {
    pub(super) policy: Policy,
    pub(super) client: Client,
    endpoints: Arc<dyn Endpoints>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) queue: Option<Arc<dyn Queue>>,
    /// The other gateways, where there may be any.
    pub(super) company: Option<Arc<Company>>,
    pub(super) raiser: Arc<Raiser>,
    series: Series,
    pub(super) began: Instant,
    functions: Mutex<HashMap<FunctionName, Scaled>>,
    /// Whether this gateway decided for all when it last could.
    pub(super) led: Mutex<bool>,
}

/// A number of replicas that the provider is to be asked for.
pub(super) struct Order {
    pub(super) name: FunctionName,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) reason: Reason,
    /// Held until the function sleeps, where it is to.
    pub(super) falling: Option<Falling>,
    /// How long it has to have been idle, where it is to sleep.
    pub(super) idle: Duration,
}

impl Scaler {
    pub(crate) fn new(
        policy: Policy,
        client: Client,
        endpoints: Arc<dyn Endpoints>,
        metrics: Arc<Metrics>,
        queue: Option<Arc<dyn Queue>>,
        company: Option<Arc<Company>>,
        raiser: Arc<Raiser>,
    ) -> prometheus::Result<Arc<Self>> {
        let began = company.as_ref().map(|company| company.began());
        Ok(Arc::new(Self {
            policy,
            client,
            endpoints,
            metrics,
            queue,
            company,
            raiser,
            series: Series::new()?,
            began: began.unwrap_or_else(Instant::now),
            functions: Mutex::default(),
            led: Mutex::default(),
        }))
    }

    /// The series of scaling, with what they are at this moment.
    pub(crate) fn series(&self) -> &Registry {
        let functions = self.functions();
        self.series.reset();
        self.series.leads(self.leads());
        for (name, scaled) in functions.iter() {
            let meter = self.metrics.meter(name);
            let calls = meter.map(|meter| meter.now()).unwrap_or_default();
            self.series.set(name, scaled, calls);
        }
        &self.series.registry
    }

    /// Counts a call that waited for a replica and got one.
    pub(crate) fn cold_start(&self, name: &FunctionName, took: Duration) {
        self.series.cold_start(name, took.as_secs_f64());
    }

    /// Measures, and decides until `stop`. Ends never.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let watch_cpu = stop.run_until_cancelled(Arc::clone(&self).watch_cpu());
        let keep_company = Arc::clone(&self).keep_company(stop.clone());
        tokio::join!(
            Arc::clone(&self).watch_calls(&stop),
            watch_cpu,
            keep_company
        );
    }

    async fn watch_calls(self: Arc<Self>, stop: &CancellationToken) {
        let [mut second, mut tick] = [Duration::from_secs(1), self.policy.tick].map(|every| {
            let mut ticks = interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            ticks
        });
        loop {
            tokio::select! {
                // A decision is about all of the second that has just ended.
                biased;
                _ = second.tick() => self.measure().await,
                _ = tick.tick(), if !stop.is_cancelled() => self.decide().await,
            }
        }
    }

    /// Takes what the last second brought, here and at the other gateways, and tells them of it.
    async fn measure(&self) {
        let Some(company) = &self.company else {
            self.measure_own();
            return;
        };
        let table = self.table();
        company.look_around(|name| !table.complete || table.get(name).is_some());
        let reports = self.measure_own();
        company.tell(&reports).await;
    }

    /// What this gateway has measured, of functions that were called lately.
    fn measure_own(&self) -> Vec<(FunctionName, Report)> {
        let mut reports = Vec::new();
        for (name, scaled) in self.functions().iter_mut() {
            let meter = self.metrics.meter(name);
            let second = meter.as_ref().map(|meter| meter.second());
            let others = self.company.as_ref().map(|company| company.second(name));
            let second = second.unwrap_or_default();
            scaled.push(second.plus(others.unwrap_or_default()));
            let now = meter.map(|meter| meter.now()).unwrap_or_default();
            let idle = now.used.map(|used| used.elapsed());
            if now.calls > 0 || idle.is_some_and(|idle| idle < TOLD) {
                let report = Report {
                    second: Some(second),
                    calls: now.calls,
                    idle,
                };
                reports.push((name.clone(), report));
            }
        }
        reports
    }

    async fn decide(self: &Arc<Self>) {
        let table = self.table();
        let queued = match self.role() {
            Role::Follows => None,
            _ => self.queued().await,
        };
        for order in self.orders(&table, queued.as_ref()) {
            tokio::spawn(Arc::clone(self).follow(order));
        }
    }

    /// What is to be changed. Forgets functions that are gone.
    fn orders(&self, table: &EndpointTable, queued: Option<&HashMap<String, u64>>) -> Vec<Order> {
        let mut functions = self.functions();
        if table.complete {
            functions.retain(|name, _| {
                let stays = table.functions.contains_key(name);
                if !stays {
                    self.series.forget(name);
                }
                stays
            });
        }
        let role = self.role();
        let leads_now = !self.led_before(role) && role == Role::Leads;
        let mut orders = Vec::new();
        for (name, function) in table.functions.iter() {
            let scaled = self.current(&mut functions, name, function);
            if leads_now {
                scaled.take_over(self.now());
            }
            if self.policy.autoscaler != Autoscaler::Native || role == Role::Follows {
                scaled.latest = None;
                continue;
            }
            let queued = queued.map(|queued| queued.get(name.as_str()).copied().unwrap_or(0));
            orders.extend(self.order(name, scaled, queued));
        }
        orders
    }

    /// The state of a function, brought up to what the table shows.
    pub(super) fn current<'a>(
        &self,
        functions: &'a mut HashMap<FunctionName, Scaled>,
        name: &FunctionName,
        function: &FunctionEndpoints,
    ) -> &'a mut Scaled {
        let now = self.now();
        let scaled = functions
            .entry(name.clone())
            .or_insert_with(|| Scaled::new(now, function));
        for wrong in scaled.follow_labels(&self.policy, function) {
            tracing::warn!(function = %name, "{wrong}; it counts as unset");
        }
        scaled.follow_replicas(now, function, self.called(name).1);
        scaled
    }

    /// What one function needs to be changed, if anything. To sleep it needs to be without calls at this very moment.
    fn order(
        &self,
        name: &FunctionName,
        scaled: &mut Scaled,
        queued: Option<u64>,
    ) -> Option<Order> {
        let now = self.now();
        let (calls, used) = self.called(name);
        let seen = Seen {
            now,
            wall: wall(),
            calls,
            used,
            queued,
        };
        let decision = scaled.decide(&self.policy, &seen);
        let may_ask = self.may_ask(scaled.replicas, decision.replicas);
        if !may_ask || !scaled.is_to_ask(now, decision.replicas) {
            return None;
        }
        let falling = match decision.replicas {
            0 => Some(self.meter(name).fall()?),
            _ => None,
        };
        scaled.ask(now, decision.replicas);
        Some(Order {
            name: name.clone(),
            from: scaled.replicas,
            to: decision.replicas,
            reason: decision.reason,
            falling,
            idle: scaled.settings.zero_after.unwrap_or_default(),
        })
    }

    /// Asks the provider, and sees to it that calls see what came of it.
    pub(super) async fn follow(self: Arc<Self>, order: Order) {
        let Order {
            name,
            from,
            to,
            reason,
            falling,
            idle,
        } = order;
        let held = match to {
            0 => self.hold_back(&name, falling, idle).await,
            _ => Some(Held::default()),
        };
        // Much may have happened since it was decided.
        let Some(mut held) = held.filter(|_| self.may_ask(from, to)) else {
            self.withdraw(&name);
            return;
        };
        let asked = self.ask(&name, to).await;
        if asked.is_ok() {
            held.sleeps();
            self.endpoints.changed().await;
        }
        let sleeps = to == 0 && asked.is_ok() && self.sleeps(&name).await;
        drop(held);
        let mut functions = self.functions();
        let Some(scaled) = functions.get_mut(&name) else {
            return;
        };
        match asked {
            Ok(()) => {
                tracing::info!(function = %name, from, to, reason = reason.word(), "scaling");
                self.series.scaled(&name, from, to, reason);
                scaled.answered((from, to), reason, None);
                if sleeps {
                    scaled.slept(self.now());
                }
            }
            Err(Refusal { words, .. }) => {
                tracing::warn!(function = %name, from, to, reason = reason.word(), error = words, "the provider does not scale");
                scaled.answered((from, to), reason, Some(words));
            }
        }
    }

    /// Does not ask the provider after all.
    pub(super) fn withdraw(&self, name: &FunctionName) {
        if let Some(scaled) = self.functions().get_mut(name) {
            scaled.withdraw();
        }
    }

    /// Whether a function was not called for so long, and is not called now: then calls that come wait until the guard is
    /// dropped. What is not known counts as called: a function that this gateway has not seen for so long, a queue that does
    /// not answer. One that is to be awake at this time is not idle either.
    pub(crate) async fn if_idle(&self, name: &FunctionName, idle: Duration) -> Option<Held> {
        let scheduled = |scaled: &Scaled| scaled.scheduled(wall()).is_some();
        if self.functions().get(name).is_some_and(scheduled) {
            return None;
        }
        let queued = self.queued().await?.get(name.as_str()).copied();
        let (calls, used) = self.called(name);
        let since = self.now().saturating_sub(used.unwrap_or_default());
        if queued.unwrap_or_default() > 0 || calls.calls > 0 || since < idle {
            return None;
        }
        let falling = self.meter(name).fall()?;
        self.hold_back(name, Some(falling), idle).await
    }

    /// Waits, for a second at most, until the table shows that a function is asleep which another gateway has put to sleep.
    pub(super) async fn settles_here(&self, name: &FunctionName) {
        self.endpoints.changed().await;
        self.settles(name).await;
    }

    /// Waits, for a second at most, until the table shows that a function is asleep.
    pub(crate) async fn settles(&self, name: &FunctionName) {
        let _ = timeout(Duration::from_secs(1), self.sleeps(name)).await;
    }

    /// Waits for the table to show a function without replicas. Whether it did in time.
    async fn sleeps(&self, name: &FunctionName) -> bool {
        let mut table = self.endpoints.table();
        let asleep = |table: &EndpointTable| {
            let function = table.get(name.as_str());
            function.is_none_or(|function| function.endpoints.is_empty())
        };
        matches!(timeout(TABLE_LAG, table.wait_for(asleep)).await, Ok(Ok(_)))
    }

    /// Takes notice of an alert of a function that has `current` replicas, and gives those that it is to have at once, if others.
    pub(super) fn alert(
        &self,
        name: &FunctionName,
        firing: bool,
        current: u64,
        limits: Limits,
    ) -> Option<u64> {
        let table = self.table();
        let Some(function) = table.get(name.as_str()) else {
            // One that was deployed a moment ago.
            let replicas = alert::replicas(firing, current, limits);
            return (replicas != current).then_some(replicas);
        };
        let mut functions = self.functions();
        let scaled = self.current(&mut functions, name, function);
        let at_once = self.policy.autoscaler == Autoscaler::Legacy;
        scaled.alert(self.now(), firing, current, limits, at_once)
    }

    /// Notes that an alert has led to so many replicas.
    pub(super) fn alerted(&self, name: &FunctionName, replicas: u64) {
        if let Some(scaled) = self.functions().get_mut(name) {
            scaled.alerted(self.now(), replicas);
        }
    }

    /// What is measured of a function's calls, from now on if it had none.
    pub(super) fn meter(&self, name: &FunctionName) -> Arc<Meter> {
        self.metrics.function(name).meter()
    }

    pub(super) fn table(&self) -> EndpointTable {
        self.endpoints.table().borrow().clone()
    }

    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn functions(&self) -> MutexGuard<'_, HashMap<FunctionName, Scaled>> {
        self.functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
