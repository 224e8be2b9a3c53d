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
use super::launch::{Launch, replica_id};
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
    stop: CancellationToken,
}

impl Held {
    fn draining(&self) -> bool {
        self.stop.is_cancelled()
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
            replica.stop.cancel();
        }
        while !self.replicas.is_empty() {
            let Some((number, event)) = happened.recv().await else {
                break;
            };
            self.note(number, event);
        }
    }

    /// Starts and drains what the wish says, and publishes what takes calls.
    fn reconcile(&mut self, wish: &Wish) {
        let serving = self.replicas.iter().filter(|(_, held)| !held.draining());
        let slots: Vec<Slot> = serving
            .map(|(number, held)| Slot {
                number: *number,
                generation: held.generation,
                ready: held.endpoint.is_some(),
            })
            .collect();
        let plan = plan(
            &slots,
            wish.generation,
            usize::try_from(wish.replicas).unwrap_or(usize::MAX),
        );
        let draining: Vec<CancellationToken> = plan
            .drain
            .iter()
            .filter_map(|number| Some(self.replicas.get(number)?.stop.clone()))
            .collect();
        // Routing ends before the replica hears of it.
        self.publish(wish, &plan.drain);
        for stop in draining {
            stop.cancel();
        }
        if self.back_off.until().is_none() {
            for _ in 0..plan.start {
                self.start_replica(wish);
            }
        }
    }

    fn publish(&self, wish: &Wish, leaving: &[u64]) {
        let takes_calls =
            |(number, held): &(&u64, &Held)| !held.draining() && !leaving.contains(number);
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
        let stop = CancellationToken::new();
        let replica = Replica {
            number,
            id: replica_id(&self.name, number),
            launch: Arc::clone(&wish.launch),
            namespace: self.name.namespace().to_owned(),
            tools: Arc::clone(&self.tools),
            log: Arc::clone(&self.log),
            running: self.running.clone(),
            stop: stop.clone(),
            events: self.events.clone(),
        };
        self.replicas.insert(
            number,
            Held {
                generation: wish.generation,
                endpoint: None,
                ready_since: None,
                stop,
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
                if !held.draining() {
                    self.back_off
                        .failed(held.ready_since.map(|since| since.elapsed()));
                    tracing::warn!(function = %self.name, replica = number, reason, "a replica ended unasked");
                    self.log.write(&replica_id(&self.name, number), reason);
                }
                self.replicas.remove(&number);
            }
        }
    }
}
