//! Waking a function that is called while nothing of it is ready: the calls wait, one request scales it up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use faas_http::{duration, env};
use faas_provider::{EndpointTable, FunctionEndpoints, FunctionName};
use faas_scaling::settings::{Kind, Settings};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Company, Policy, Raiser};
use crate::Config;
use crate::endpoints::Endpoints;
use crate::error::Error;
use crate::metrics::Metrics;

/// How often the provider is asked while a function wakes, where its table does not say so by itself.
const ASK_INTERVAL: Duration = Duration::from_millis(100);
/// How long calls are gathered before the second, and last, request: by then it is known how many wait.
const GATHERING: Duration = Duration::from_millis(50);
/// How often a scale request that failed is made again, and the pause before the first repetition, doubled each time.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(50);

/// Wakes functions.
pub(crate) struct FromZero {
    policy: Policy,
    metrics: Arc<Metrics>,
    raiser: Arc<Raiser>,
    endpoints: Arc<dyn Endpoints>,
    /// The other gateways, where there may be any.
    company: Option<Arc<Company>>,
    enabled: bool,
    limit: Option<Duration>,
    queue: usize,
    /// The functions that are being woken: at most one request is under way for each.
    waking: Mutex<HashMap<FunctionName, Arc<Waking>>>,
}

/// One function on its way up.
struct Waking {
    waiting: AtomicUsize,
    began: Instant,
    /// Whether it was scaled for all who wait.
    gathered: AtomicBool,
    /// Why it cannot be scaled up, once that is certain.
    failed: watch::Sender<Option<String>>,
}

impl FromZero {
    pub(crate) fn new(
        config: &Config,
        policy: Policy,
        metrics: Arc<Metrics>,
        raiser: Arc<Raiser>,
        endpoints: Arc<dyn Endpoints>,
        company: Option<Arc<Company>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            policy,
            metrics,
            raiser,
            endpoints,
            company,
            enabled: config.scale_from_zero,
            limit: env::limit(config.scale_from_zero_timeout),
            queue: config.scale_from_zero_queue,
            waking: Mutex::default(),
        })
    }

    /// Waits until a replica of the function can take a call; asks for one if none is asked for. A caller who hangs up
    /// stops waiting, the function wakes all the same.
    ///
    /// # Errors
    /// 503 with words when it does not become ready in time, cannot be scaled up, or too many wait already; 404 when it
    /// is deleted meanwhile.
    pub(crate) async fn ready(
        self: &Arc<Self>,
        name: &FunctionName,
    ) -> Result<Arc<FunctionEndpoints>, Error> {
        if !self.enabled {
            return Err(Error::NotReady(name.clone()));
        }
        let waking = self.join(name)?;
        let waited = async {
            let mut failed = waking.0.failed.subscribe();
            tokio::select! {
                found = self.appears(name) => found,
                reason = failed.wait_for(Option::is_some) => {
                    let reason = reason.ok().and_then(|reason| reason.clone()).unwrap_or_default();
                    Err(Error::ScaleFailed { name: name.clone(), reason })
                }
            }
        };
        let Some(limit) = self.limit else {
            return waited.await;
        };
        let waited_for = || duration::format(limit);
        let late = |_| {
            Err(Error::StillNotReady {
                name: name.clone(),
                waited: waited_for(),
            })
        };
        timeout(limit, waited).await.unwrap_or_else(late)
    }

    /// Takes a place among those who wait; the first one sets the waking in motion.
    fn join(self: &Arc<Self>, name: &FunctionName) -> Result<Place, Error> {
        let mut all = self.waking.lock().unwrap_or_else(PoisonError::into_inner);
        let waking = match all.get(name) {
            Some(waking) => Arc::clone(waking),
            None => {
                let waking = Arc::new(Waking {
                    waiting: AtomicUsize::new(0),
                    began: Instant::now(),
                    gathered: AtomicBool::new(false),
                    failed: watch::Sender::new(None),
                });
                all.insert(name.clone(), Arc::clone(&waking));
                tokio::spawn(Arc::clone(self).wake(name.clone(), Arc::clone(&waking)));
                waking
            }
        };
        if waking.waiting.fetch_add(1, Ordering::AcqRel) >= self.queue {
            waking.waiting.fetch_sub(1, Ordering::AcqRel);
            return Err(Error::QueueFull {
                name: name.clone(),
                limit: self.queue,
            });
        }
        Ok(Place(waking))
    }

    /// Waits for the table to show a replica.
    async fn appears(&self, name: &FunctionName) -> Result<Arc<FunctionEndpoints>, Error> {
        let mut table = self.endpoints.table();
        let settled = |table: &EndpointTable| match table.get(name.as_str()) {
            Some(function) => !function.endpoints.is_empty(),
            None => table.complete,
        };
        match table.wait_for(settled).await {
            Ok(table) => table
                .get(name.as_str())
                .cloned()
                .ok_or_else(|| Error::NotFound(name.clone())),
            Err(_) => Err(Error::NotReady(name.clone())),
        }
    }

    /// Scales the function up if nobody has, and sees to it until it is ready, given up, or gone.
    async fn wake(self: Arc<Self>, name: FunctionName, waking: Arc<Waking>) {
        let limit = self.limit.unwrap_or(Duration::MAX);
        let mut ready = false;
        tokio::select! {
            found = timeout(limit, self.appears(&name)) => {
                ready = matches!(found, Ok(Ok(_)));
                tracing::info!(function = %name, ready, took = ?waking.began.elapsed(), "scaling from zero ended");
            }
            reason = self.keep_up(&name, &waking) => {
                tracing::warn!(function = %name, reason, "a function could not be scaled up from zero");
                waking.failed.send_replace(Some(reason));
            }
        }
        self.waking
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&name);
        if ready {
            self.gather(&name, &waking).await;
        }
    }

    /// Scales the function up, and up again if somebody takes it back to zero while calls wait. Ends when that fails,
    /// with the reason.
    async fn keep_up(&self, name: &FunctionName, waking: &Waking) -> String {
        // The others hear of the first call at once.
        self.calls(name).await;
        loop {
            if let Err(reason) = self.scale_up(name).await {
                return reason;
            }
            self.gather(name, waking).await;
            tokio::select! {
                () = self.falls(name) => {}
                () = self.keep_asking(name) => {}
            }
        }
    }

    /// Waits until the function, once it is on its way up, is at zero again.
    async fn falls(&self, name: &FunctionName) {
        let mut table = self.endpoints.table();
        for up in [true, false] {
            let shows = |table: &EndpointTable| {
                let function = table.get(name.as_str());
                function.is_some_and(|function| (function.replicas > 0) == up)
            };
            if table.wait_for(shows).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    async fn keep_asking(&self, name: &FunctionName) {
        loop {
            // An error is no news; the wait is bounded.
            let _ = self.endpoints.ask(name).await;
            sleep(ASK_INTERVAL).await;
        }
    }

    /// Once, when calls have gathered, asks for as many replicas as they need.
    async fn gather(&self, name: &FunctionName, waking: &Waking) {
        sleep_until(waking.began + GATHERING).await;
        if !waking.gathered.swap(true, Ordering::AcqRel) {
            let calls = self.calls(name).await;
            self.scale_for(name, calls).await;
        }
    }

    /// Calls that there are, at the other gateways too. They are told of ours.
    async fn calls(&self, name: &FunctionName) -> u64 {
        let meter = self.metrics.meter(name);
        let calls = meter.map_or(0, |meter| meter.now().calls);
        let Some(company) = &self.company else {
            return calls;
        };
        company.tell_of_calls(name, calls).await;
        calls + company.calls(name)
    }

    /// Asks for as many replicas as so many calls need, where it is known how many one takes.
    async fn scale_for(&self, name: &FunctionName, calls: u64) {
        let entry = self.entry(name);
        let settings = self.settings(&entry);
        let each = match (settings.per_replica, &settings.kind) {
            (Some(each), _) => each as f64,
            (None, Kind::Capacity) => settings.aim(),
            (None, _) => return,
        };
        let wanted = (calls as f64 / each).ceil() as u64;
        let replicas = wanted.min(settings.limits.max);
        if replicas <= entry.replicas.max(settings.limits.min) {
            return;
        }
        match self.raiser.raise(name, replicas).await {
            Ok(()) => {
                tracing::info!(function = %name, replicas, calls, "scaling from zero for all who wait");
            }
            // It wakes all the same, with fewer.
            Err(refusal) => {
                tracing::warn!(function = %name, replicas, reason = refusal.words, "not scaled any further");
            }
        }
    }

    fn entry(&self, name: &FunctionName) -> Arc<FunctionEndpoints> {
        let table = self.endpoints.table();
        let entry = table.borrow().get(name.as_str()).cloned();
        entry.unwrap_or_default()
    }

    fn settings(&self, entry: &FunctionEndpoints) -> Settings {
        let label = |name: &str| entry.labels.get(name).map(String::as_str);
        self.policy.settings(label).0
    }

    async fn scale_up(&self, name: &FunctionName) -> Result<(), String> {
        let min = self.settings(&self.entry(name)).limits.min;
        let mut pause = PAUSE;
        for attempt in 1..=ATTEMPTS {
            // Never fewer than somebody else has asked for.
            if self.entry(name).replicas > 0 {
                return Ok(());
            }
            match self.raiser.raise(name, min).await {
                Ok(()) => {
                    tracing::info!(function = %name, replicas = min, "scaling from zero");
                    return Ok(());
                }
                Err(refusal) if attempt == ATTEMPTS || refusal.is_final => {
                    return Err(refusal.words);
                }
                Err(refusal) => {
                    tracing::debug!(function = %name, reason = refusal.words, "a scale request failed; asking again");
                }
            }
            sleep(pause).await;
            pause *= 2;
        }
        Ok(())
    }
}

/// A place in the queue of those who wait.
struct Place(Arc<Waking>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}
