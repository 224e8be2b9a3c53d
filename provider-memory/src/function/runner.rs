//! One task per function: it holds the replicas, compares them with what is wished, and publishes those that take calls.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use faas_provider::{Endpoint, FunctionEndpoints, FunctionName, Publisher, Texts};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::LogBook;
use super::duty::{Duty, Orders};
use super::launch::{Launch, replica_id};
use super::paused::Paused;
use super::replica::{BackOff, Event, Replica};
use super::running::Running;
use super::scratch::Scratch;
use super::slots::{Slot, plan};
use crate::records::{FunctionRecord, Ledger};
use crate::sandbox::Sandbox;

/// What all functions share.
pub(crate) struct Tools {
    /// Starts replicas.
    pub(crate) sandbox: Sandbox,
    /// Where secrets are.
    pub(crate) ledger: Ledger,
    /// Where routing is published.
    pub(crate) publisher: Publisher,
    /// Asks replicas whether they are ready.
    pub(crate) probes: reqwest::Client,
    /// The path that is asked.
    pub(crate) ready_path: &'static str,
    /// The address that replicas listen on.
    pub(crate) address: IpAddr,
    /// Gives replicas a temporary directory where the sandbox does not.
    pub(crate) scratch: Scratch,
    /// Which replicas are kept while their functions have none.
    pub(crate) paused: Paused,
}

/// What is wished of a function.
#[derive(Clone, Debug)]
struct Wish {
    generation: u64,
    launch: Arc<Launch>,
    replicas: u64,
    labels: Arc<Texts>,
    annotations: Arc<Texts>,
}

/// A deployed function. Dropping it without [`Runner::stop`] kills its replicas.
#[derive(Debug)]
pub(crate) struct Runner {
    wish: watch::Sender<Wish>,
    available: Arc<AtomicU64>,
    running: Running,
    routing: Arc<Routing>,
    log: Arc<LogBook>,
    retire: CancellationToken,
    task: JoinHandle<()>,
}

impl Runner {
    /// Starts a function; it is published, without replicas, when this returns.
    pub(crate) fn start(
        name: FunctionName,
        record: &FunctionRecord,
        launch: Launch,
        tools: Arc<Tools>,
    ) -> Self {
        let wish = Wish {
            generation: 1,
            launch: Arc::new(launch),
            replicas: record.replicas,
            labels: Arc::new(record.deployment.labels.clone()),
            annotations: Arc::new(record.deployment.annotations.clone()),
        };
        let available = Arc::new(AtomicU64::new(0));
        let running = Running::default();
        let routing = Arc::new(Routing {
            name: name.clone(),
            tools: Arc::clone(&tools),
            retired: Mutex::new(false),
        });
        let log = Arc::new(LogBook::new(name.clone()));
        let retire = CancellationToken::new();
        routing.publish(&wish, Vec::new());
        let wish = watch::Sender::new(wish);
        let (events, happened) = mpsc::unbounded_channel();
        let actor = Actor {
            name,
            tools,
            log: Arc::clone(&log),
            routing: Arc::clone(&routing),
            available: Arc::clone(&available),
            running: running.clone(),
            replicas: BTreeMap::new(),
            next_number: 1,
            back_off: BackOff::default(),
            events,
        };
        let task = tokio::spawn(actor.run(wish.subscribe(), happened, retire.clone()));
        Self {
            wish,
            available,
            running,
            routing,
            log,
            retire,
            task,
        }
    }

    /// Runs another deployment from now on. All replicas are replaced, also where nothing changed: a secret may have.
    pub(crate) fn update(&self, record: &FunctionRecord, launch: Launch) {
        self.wish.send_modify(|wish| {
            wish.generation += 1;
            wish.launch = Arc::new(launch);
            wish.replicas = record.replicas;
            wish.labels = Arc::new(record.deployment.labels.clone());
            wish.annotations = Arc::new(record.deployment.annotations.clone());
        });
    }

    /// Asks for another number of replicas.
    pub(crate) fn scale(&self, replicas: u64) {
        self.wish.send_modify(|wish| wish.replicas = replicas);
    }

    /// Replicas that take calls.
    pub(crate) fn available(&self) -> u64 {
        self.available.load(Ordering::Acquire)
    }

    /// The processes of its replicas.
    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    /// The function's log.
    pub(crate) fn log(&self) -> &Arc<LogBook> {
        &self.log
    }

    /// Takes the function out of routing at once; its replicas drain. The task ends when they are gone.
    pub(crate) fn stop(self) -> JoinHandle<()> {
        self.routing.retire();
        self.retire.cancel();
        self.task
    }
}

/// The function's entry in the table of endpoints.
struct Routing {
    name: FunctionName,
    tools: Arc<Tools>,
    /// Once set, nothing is published any more: the name may belong to another function by then.
    retired: Mutex<bool>,
}

impl std::fmt::Debug for Routing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Routing({})", self.name)
    }
}

impl Routing {
    fn publish(&self, wish: &Wish, endpoints: Vec<Endpoint>) {
        let retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        if !*retired {
            let function = FunctionEndpoints {
                replicas: wish.replicas,
                labels: Arc::clone(&wish.labels),
                annotations: Arc::clone(&wish.annotations),
                endpoints,
            };
            self.tools.publisher.publish(&self.name, function);
        }
    }

    fn retire(&self) {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        *retired = true;
        self.tools.publisher.remove(&self.name);
    }
}

/// A replica as the actor knows it.
struct Held {
    generation: u64,
    endpoint: Option<Endpoint>,
    ready_since: Option<Instant>,
    orders: Orders,
}

impl Held {
    fn draining(&self) -> bool {
        self.orders.duty() == Duty::Leave
    }

    fn resting(&self) -> bool {
        self.orders.duty() == Duty::Rest
    }
}

struct Actor {
    name: FunctionName,
    tools: Arc<Tools>,
    log: Arc<LogBook>,
    routing: Arc<Routing>,
    available: Arc<AtomicU64>,
    running: Running,
    replicas: BTreeMap<u64, Held>,
    next_number: u64,
    back_off: BackOff,
    events: mpsc::UnboundedSender<(u64, Event)>,
}

type Happened = mpsc::UnboundedReceiver<(u64, Event)>;

impl Actor {
    async fn run(
        mut self,
        mut wishes: watch::Receiver<Wish>,
        mut happened: Happened,
        retire: CancellationToken,
    ) {
        let mut wish = wishes.borrow_and_update().clone();
        while !retire.is_cancelled() {
            self.reconcile(&wish);
            let pause = self.back_off.until();
            tokio::select! {
                changed = wishes.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let new = wishes.borrow_and_update().clone();
                    if new.generation != wish.generation {
                        self.back_off.reset();
                    }
                    wish = new;
                }
                Some((number, event)) = happened.recv() => self.note(number, event),
                () = async { sleep_until(pause.unwrap_or_else(Instant::now)).await }, if pause.is_some() => {}
                () = retire.cancelled() => {}
            }
        }
        for replica in self.replicas.values() {
            replica.orders.leave();
        }
        while !self.replicas.is_empty() {
            let Some((number, event)) = happened.recv().await else {
                break;
            };
            self.note(number, event);
        }
    }

    /// Starts and drains what the wish says, keeps what it may, and publishes what takes calls.
    fn reconcile(&mut self, wish: &Wish) {
        let plan = plan(
            &self.slots(),
            wish.generation,
            usize::try_from(wish.replicas).unwrap_or(usize::MAX),
            self.tools.paused.keeps(&wish.labels),
        );
        let orders = |number: &u64| Some(self.replicas.get(number)?.orders.clone());
        let draining: Vec<Orders> = plan.drain.iter().filter_map(orders).collect();
        let resting = plan.rest.as_ref().and_then(orders);
        // Routing ends before the replica hears of it.
        let leaving: Vec<u64> = plan.drain.iter().copied().chain(plan.rest).collect();
        self.publish(wish, &leaving);
        for orders in draining {
            orders.leave();
        }
        if let Some(orders) = resting
            && orders.rest()
        {
            self.tools.paused.enter(&orders);
        }
        let lost = plan.serve.is_some_and(|number| !self.serve_again(number));
        if self.back_off.until().is_none() {
            for _ in 0..plan.start + usize::from(lost) {
                self.start_replica(wish);
            }
        }
    }

    fn slots(&self) -> Vec<Slot> {
        let serving = self.replicas.iter().filter(|(_, held)| !held.draining());
        let slot = |(number, held): (&u64, &Held)| Slot {
            number: *number,
            generation: held.generation,
            ready: held.endpoint.is_some(),
            resting: held.resting(),
        };
        serving.map(slot).collect()
    }

    /// Whether a replica that rests will serve: it may have been dismissed a moment ago.
    fn serve_again(&mut self, number: u64) -> bool {
        let Some(held) = self.replicas.get_mut(&number) else {
            return false;
        };
        // It says anew when it is ready.
        held.endpoint = None;
        held.orders.serve()
    }

    fn publish(&self, wish: &Wish, leaving: &[u64]) {
        let takes_calls = |(number, held): &(&u64, &Held)| {
            held.orders.duty() == Duty::Serve && !leaving.contains(number)
        };
        let endpoints: Vec<Endpoint> = self
            .replicas
            .iter()
            .filter(takes_calls)
            .filter_map(|(_, held)| held.endpoint.clone())
            .collect();
        self.available
            .store(endpoints.len() as u64, Ordering::Release);
        self.routing.publish(wish, endpoints);
    }

    fn start_replica(&mut self, wish: &Wish) {
        let number = self.next_number;
        self.next_number += 1;
        let orders = Orders::default();
        let replica = Replica {
            number,
            id: replica_id(&self.name, number),
            launch: Arc::clone(&wish.launch),
            namespace: self.name.namespace().to_owned(),
            tools: Arc::clone(&self.tools),
            log: Arc::clone(&self.log),
            running: self.running.clone(),
            orders: orders.clone(),
            events: self.events.clone(),
        };
        self.replicas.insert(
            number,
            Held {
                generation: wish.generation,
                endpoint: None,
                ready_since: None,
                orders,
            },
        );
        tokio::spawn(replica.run());
    }

    fn note(&mut self, number: u64, event: Event) {
        let Some(held) = self.replicas.get_mut(&number) else {
            return;
        };
        match event {
            Event::Ready(endpoint) => {
                held.endpoint = Some(endpoint);
                held.ready_since = Some(Instant::now());
            }
            Event::NotReady => held.endpoint = None,
            Event::Ended(reason) => {
                if held.orders.duty() == Duty::Serve {
                    self.back_off
                        .failed(held.ready_since.map(|since| since.elapsed()));
                }
                if !held.draining() {
                    tracing::warn!(function = %self.name, replica = number, reason, "a replica ended unasked");
                    self.log.write(&replica_id(&self.name, number), reason);
                }
                // It takes no place among those that rest.
                held.orders.leave();
                self.replicas.remove(&number);
            }
        }
    }
}
