//! The watch over the swarm: which functions there are, which of their tasks can take calls, and what is wrong with the
//! others. Calls read what it publishes and never ask the engine.
//!
//! The engine tells at once when a service changes, and when a container does on its own node. Of tasks on other nodes it
//! tells nothing, so they are looked at: often while anything is on its way, seldom otherwise.

mod probe;
mod snapshot;
mod table;
mod words;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use faas_provider::{EndpointTable, FunctionName, Health};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::engine::{Engine, Error, Task, filter};
use crate::{network, record, services};
pub(crate) use snapshot::Failure;
use snapshot::{Reasons, Seen, Services};
use table::Table;
pub(crate) use table::{View, Views};

/// Pauses between two looks: the shortest one while something is on its way, the longest one when all is settled.
const SHORTEST: Duration = Duration::from_millis(25);
const LONGEST: Duration = Duration::from_secs(2);
/// How long changes are gathered before they are looked at.
const GATHER: Duration = Duration::from_millis(10);
/// Services are read when something changes, and after this time all the same.
const SERVICES_AGE: Duration = Duration::from_secs(30);
/// How often it is looked whether the functions' network is there.
const NETWORK_AGE: Duration = Duration::from_secs(15);
/// Longest wait of a change for the table to show it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pause before the engine is asked for its events again.
const EVENTS_PAUSE: Duration = Duration::from_millis(500);

/// Watches, and can be asked by everybody.
pub(crate) struct Watch {
    engine: Arc<Engine>,
    network: Option<String>,
    /// Something may have changed.
    wake: Notify,
    /// A task answers.
    answered: Arc<Notify>,
    /// Looks asked for, and looks done.
    asked: AtomicU64,
    done: watch::Sender<u64>,
    withheld: Mutex<HashSet<FunctionName>>,
    reasons: Mutex<Reasons>,
    health: watch::Sender<Health>,
    endpoints: watch::Receiver<EndpointTable>,
    views: watch::Receiver<Views>,
    table: Mutex<Table>,
}

/// What is known from look to look.
struct Looked {
    /// Whether the engine ever answered.
    known: bool,
    services: Services,
    services_at: Option<Instant>,
    network_at: Option<Instant>,
    functions: BTreeMap<FunctionName, Seen>,
    settled: bool,
    changed_at: Instant,
}

impl Watch {
    pub(crate) fn new(engine: Arc<Engine>, network: Option<String>) -> Arc<Self> {
        let answered = Arc::new(Notify::new());
        let table = Table::new(Arc::clone(&answered));
        Arc::new(Self {
            engine,
            network,
            wake: Notify::new(),
            answered,
            asked: AtomicU64::new(0),
            done: watch::Sender::new(0),
            withheld: Mutex::default(),
            reasons: Mutex::default(),
            health: watch::Sender::new(Err("the Docker engine was not asked yet".to_owned())),
            endpoints: table.endpoints(),
            views: table.views(),
            table: Mutex::new(table),
        })
    }

    /// The table of endpoints.
    pub(crate) fn endpoints(&self) -> watch::Receiver<EndpointTable> {
        self.endpoints.clone()
    }

    /// What there is to say of every function.
    pub(crate) fn views(&self) -> watch::Receiver<Views> {
        self.views.clone()
    }

    /// What there is to say of a function.
    pub(crate) fn view(&self, name: &FunctionName) -> View {
        self.views.borrow().get(name).cloned().unwrap_or_default()
    }

    /// Whether the engine answered the last look, and the functions' network is there.
    pub(crate) fn health(&self) -> Health {
        self.health.borrow().clone()
    }

    /// Looks now, and returns when that is done, or after a while.
    pub(crate) async fn refresh(&self) {
        let mine = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        self.wake.notify_one();
        let mut done = self.done.subscribe();
        let looked = done.wait_for(|done| *done >= mine);
        let _ = timeout(PATIENCE, looked).await;
    }

    /// Ends routing to a function until the guard is dropped; whether calls could be on their way to it.
    pub(crate) fn withhold(self: &Arc<Self>, name: &FunctionName) -> (Withheld, bool) {
        self.locked_withheld().insert(name.clone());
        let routed = self
            .endpoints
            .borrow()
            .get(name.as_str())
            .is_some_and(|one| !one.endpoints.is_empty());
        self.answered.notify_one();
        (
            Withheld {
                watch: Arc::clone(self),
                name: name.clone(),
            },
            routed,
        )
    }

    fn locked_withheld(&self) -> std::sync::MutexGuard<'_, HashSet<FunctionName>> {
        self.withheld.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers why a function's image cannot be pulled; forgets it where there is nothing to say.
    pub(crate) fn explain(&self, name: &FunctionName, reason: Option<String>) {
        let mut reasons = self.locked_reasons();
        match reason {
            Some(reason) => reasons.insert(name.clone(), reason),
            None => reasons.remove(name),
        };
        drop(reasons);
        self.wake.notify_one();
    }

    /// Why a function's image cannot be pulled.
    pub(crate) fn reason(&self, name: &FunctionName) -> Option<String> {
        self.locked_reasons().get(name).cloned()
    }

    fn locked_reasons(&self) -> std::sync::MutexGuard<'_, Reasons> {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches for ever.
    pub(crate) async fn run(&self) {
        tokio::join!(self.listen(), self.look_for_ever());
    }

    /// Wakes the watch at every event that may matter.
    async fn listen(&self) {
        let filters = filter(&[
            ("type", &["service", "container", "node"]),
            (
                "event",
                &[
                    "create",
                    "update",
                    "remove",
                    "start",
                    "die",
                    "kill",
                    "health_status: healthy",
                ],
            ),
        ]);
        loop {
            match self
                .engine
                .stream("/events", &[("filters", &filters)])
                .await
            {
                Ok(mut events) => {
                    self.wake.notify_one();
                    while events.next().await.is_some() {
                        self.wake.notify_one();
                    }
                    tracing::info!("the engine's events ended; asking again");
                }
                Err(error) => tracing::debug!(%error, "the engine's events cannot be had"),
            }
            sleep(EVENTS_PAUSE).await;
            // Until there are events again, changes have to be looked for.
            self.wake.notify_one();
        }
    }

    async fn look_for_ever(&self) {
        let mut looked = Looked {
            known: false,
            services: Services::new(),
            services_at: None,
            network_at: None,
            functions: BTreeMap::new(),
            settled: false,
            changed_at: Instant::now(),
        };
        loop {
            let asked = self.asked.load(Ordering::Acquire);
            let result = self.look(&mut looked).await;
            self.tell(&mut looked, result);
            self.done.send_replace(asked);
            self.pause(&mut looked).await;
        }
    }

    /// One look. Nothing is known to have changed when it fails.
    async fn look(&self, looked: &mut Looked) -> Result<Health, Error> {
        let old = |at: Option<Instant>, age| at.is_none_or(|at| at.elapsed() > age);
        if old(looked.services_at, SERVICES_AGE) {
            let services = services::list(&self.engine, None).await?;
            looked.services = snapshot::read_services(services, &mut looked.services);
            looked.services_at = Some(Instant::now());
        }
        let filters = record::ours(None);
        let tasks: Vec<Task> = self.engine.get("/tasks", &[("filters", &filters)]).await?;
        let reasons = self.locked_reasons().clone();
        looked.functions = snapshot::functions(&looked.services, &tasks, &reasons);
        looked.known = true;
        self.publish(looked);
        let healthy = self.health.borrow().is_ok();
        if healthy && !old(looked.network_at, NETWORK_AGE) {
            return Ok(Ok(()));
        }
        looked.network_at = Some(Instant::now());
        let network = network::functions(&self.engine, self.network.as_deref()).await;
        Ok(network.map(drop).map_err(|error| error.to_string()))
    }

    fn publish(&self, looked: &mut Looked) {
        if !looked.known {
            return;
        }
        let withheld = self.locked_withheld().clone();
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        looked.settled = table.publish(&looked.functions, &withheld);
    }

    /// Logs the health where it changes.
    fn tell(&self, looked: &mut Looked, result: Result<Health, Error>) {
        let health = result.unwrap_or_else(|error| {
            // Whatever happened meanwhile was not seen.
            looked.services_at = None;
            Err(error.to_string())
        });
        let changed = |old: &mut Health| {
            let changed = *old != health;
            if changed {
                match &health {
                    Ok(()) => tracing::info!("the swarm is there"),
                    Err(words) => {
                        tracing::warn!(reason = %words, "the provider cannot do its work");
                    }
                }
                *old = health;
            }
            changed
        };
        self.health.send_if_modified(changed);
    }

    /// Waits until the next look is due; answers of tasks are published meanwhile.
    async fn pause(&self, looked: &mut Looked) {
        let pause = match looked.settled {
            true => LONGEST,
            false => (looked.changed_at.elapsed() / 10).clamp(SHORTEST, LONGEST),
        };
        let due = Instant::now() + pause;
        loop {
            tokio::select! {
                () = self.wake.notified() => {
                    sleep(GATHER).await;
                    looked.services_at = None;
                    looked.changed_at = Instant::now();
                    return;
                }
                () = self.answered.notified() => self.publish(looked),
                () = sleep_until(due) => return,
            }
        }
    }
}

/// Routing to a function ends while this lives.
pub(crate) struct Withheld {
    watch: Arc<Watch>,
    name: FunctionName,
}

impl Drop for Withheld {
    fn drop(&mut self) {
        self.watch.locked_withheld().remove(&self.name);
        self.watch.answered.notify_one();
    }
}
