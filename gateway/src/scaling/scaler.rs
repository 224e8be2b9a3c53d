//! Measures every function each second, decides at every tick, and asks the provider for what was decided.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use faas_provider::{Client, EndpointTable, FunctionEndpoints, FunctionName};
use faas_queue::Queue;
use faas_scaling::alert::{self, Limits};
use faas_scaling::decision::Reason;
use prometheus::Registry;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::Autoscaler;
use super::meter::{Falling, Meter};
use super::policy::Policy;
use super::scaled::{Scaled, Seen, wall};
use super::series::Series;
use crate::endpoints::Endpoints;
use crate::error::in_words;
use crate::metrics::Metrics;

/// Longest wait for the table to show that a function sleeps, once the provider has said so.
const TABLE_LAG: Duration = Duration::from_secs(5);
/// Longest wait for the queue to say what it holds. What it does not say is not known.
const QUEUE_LIMIT: Duration = Duration::from_secs(1);

/// Scales functions.
pub(crate) struct Scaler {
    pub(super) policy: Policy,
    pub(super) client: Client,
    endpoints: Arc<dyn Endpoints>,
    metrics: Arc<Metrics>,
    queue: Option<Arc<dyn Queue>>,
    series: Series,
    began: Instant,
    functions: Mutex<HashMap<FunctionName, Scaled>>,
}

/// A number of replicas that the provider is to be asked for.
struct Order {
    name: FunctionName,
    from: u64,
    to: u64,
    reason: Reason,
    /// Held until the function sleeps, where it is to.
    falling: Option<Falling>,
}

impl Scaler {
    pub(crate) fn new(
        policy: Policy,
        client: Client,
        endpoints: Arc<dyn Endpoints>,
        metrics: Arc<Metrics>,
        queue: Option<Arc<dyn Queue>>,
    ) -> prometheus::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            policy,
            client,
            endpoints,
            metrics,
            queue,
            series: Series::new()?,
            began: Instant::now(),
            functions: Mutex::default(),
        }))
    }

    /// The series of scaling, with what they are at this moment.
    pub(crate) fn series(&self) -> &Registry {
        let functions = self.functions();
        self.series.reset();
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

    /// Ends never.
    pub(crate) async fn run(self: Arc<Self>) {
        tokio::join!(Arc::clone(&self).watch_calls(), self.watch_cpu());
    }

    async fn watch_calls(self: Arc<Self>) {
        let [mut second, mut tick] = [Duration::from_secs(1), self.policy.tick].map(|every| {
            let mut ticks = interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            ticks
        });
        loop {
            tokio::select! {
                // A decision is about all of the second that has just ended.
                biased;
                _ = second.tick() => self.measure(),
                _ = tick.tick() => self.decide().await,
            }
        }
    }

    fn measure(&self) {
        let mut functions = self.functions();
        for (name, scaled) in functions.iter_mut() {
            let meter = self.metrics.meter(name);
            scaled.push(meter.map(|meter| meter.second()).unwrap_or_default());
        }
    }

    async fn decide(self: &Arc<Self>) {
        let table = self.endpoints.table().borrow().clone();
        let queued = self.queued().await;
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
        let mut orders = Vec::new();
        for (name, function) in table.functions.iter() {
            let scaled = self.current(&mut functions, name, function);
            if self.policy.autoscaler == Autoscaler::Native {
                let queued = queued.map(|queued| queued.get(name.as_str()).copied().unwrap_or(0));
                orders.extend(self.order(name, scaled, queued));
            }
        }
        orders
    }

    /// The state of a function, brought up to what the table shows.
    fn current<'a>(
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
        let used = self.metrics.meter(name).and_then(|meter| self.used(&meter));
        scaled.follow_replicas(now, function, used);
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
        let meter = self.metrics.meter(name);
        let calls = meter.as_ref().map(|meter| meter.now()).unwrap_or_default();
        let used = calls
            .used
            .map(|used| used.saturating_duration_since(self.began));
        let seen = Seen {
            now,
            wall: wall(),
            calls,
            used,
            queued,
        };
        let decision = scaled.decide(&self.policy, &seen);
        if !scaled.is_to_ask(now, decision.replicas) {
            return None;
        }
        let falling = match (decision.replicas, meter) {
            (0, Some(meter)) => Some(meter.fall()?),
            _ => None,
        };
        scaled.ask(now, decision.replicas);
        Some(Order {
            name: name.clone(),
            from: scaled.replicas,
            to: decision.replicas,
            reason: decision.reason,
            falling,
        })
    }

    /// Asks the provider, and sees to it that calls see what came of it.
    async fn follow(self: Arc<Self>, order: Order) {
        let Order {
            name,
            from,
            to,
            reason,
            falling,
        } = order;
        let asked = self.client.scale(&name, to).await;
        if asked.is_ok() {
            self.endpoints.changed().await;
        }
        let sleeps = to == 0 && asked.is_ok() && self.sleeps(&name).await;
        drop(falling);
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
            Err(error) => {
                let words = in_words(&error);
                tracing::warn!(function = %name, from, to, reason = reason.word(), %error, "the provider does not scale");
                scaled.answered((from, to), reason, Some(words));
            }
        }
    }

    /// Whether a function was not called for so long, and is not called now: then calls that come wait until the guard is
    /// dropped. What is not known counts as called: a function that this gateway has not seen for so long, a queue that does
    /// not answer. One that is to be awake at this time is not idle either.
    pub(crate) async fn if_idle(&self, name: &FunctionName, idle: Duration) -> Option<Falling> {
        let scheduled = |scaled: &Scaled| scaled.scheduled(wall()).is_some();
        if self.functions().get(name).is_some_and(scheduled) {
            return None;
        }
        let queued = self.queued().await?.get(name.as_str()).copied();
        let meter = self.metrics.function(name).meter();
        let (now, used) = (self.now(), self.used(&meter));
        let since = now.saturating_sub(used.unwrap_or_default());
        (queued.unwrap_or_default() == 0 && since >= idle)
            .then(|| meter.fall())
            .flatten()
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
        let table = self.endpoints.table().borrow().clone();
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

    /// Asynchronous calls of each function that are not through; none where the queue does not say.
    async fn queued(&self) -> Option<HashMap<String, u64>> {
        let Some(queue) = &self.queue else {
            return Some(HashMap::new());
        };
        let depths = timeout(QUEUE_LIMIT, queue.depths()).await.ok()?.ok()?;
        let all = |depth: faas_queue::Depth| (depth.function, depth.waiting + depth.running);
        Some(depths.into_iter().map(all).collect())
    }

    /// When a call of a function began or ended last.
    fn used(&self, meter: &Meter) -> Option<Duration> {
        let used = meter.now().used?;
        Some(used.saturating_duration_since(self.began))
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn functions(&self) -> MutexGuard<'_, HashMap<FunctionName, Scaled>> {
        self.functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
