//! Callbacks: taken off the queue, posted, and posted again until somebody takes them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use faas_queue::{CallbackVerdict, Error, InvocationId, Receipt, TakenCallback};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::hosts::{Hosts, Leave};
use crate::post::{Post, Posted, host};
use crate::worker::Shared;

/// How often is looked for callbacks that have become due, while there are any.
const LOOK: Duration = Duration::from_millis(250);
const NOTHING_TO_LOOK_FOR: Duration = Duration::from_secs(3600);
/// Wait of a callback to a host that is being posted to as much as may be.
const BUSY: Duration = Duration::from_secs(1);
/// The target wants no more of these (RFC 9110, section 15.5.11).
const GONE: u16 = 410;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The callbacks that are being posted.
#[derive(Default)]
pub(crate) struct Posting(Mutex<HashMap<InvocationId, Receipt>>);

impl Posting {
    fn begin(&self, taken: &TakenCallback) {
        let receipt = taken.receipt.clone();
        self.lock().insert(taken.callback.id, receipt);
    }

    fn end(&self, taken: &TakenCallback) {
        self.lock().remove(&taken.callback.id);
    }

    /// What holds them.
    pub(crate) fn receipts(&self) -> Vec<Receipt> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<InvocationId, Receipt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of the worker that posts.
#[derive(Clone)]
pub(crate) struct Callbacks {
    shared: Arc<Shared>,
    post: Arc<Post>,
    hosts: Arc<Hosts>,
    places: Arc<Semaphore>,
    freed: Arc<Notify>,
    tasks: TaskTracker,
}

impl Callbacks {
    pub(crate) fn new(shared: Arc<Shared>, post: Post, tasks: TaskTracker) -> Self {
        let places = shared.config.callback_max_inflight;
        Self {
            shared,
            post: Arc::new(post),
            hosts: Arc::default(),
            places: Arc::new(Semaphore::new(places)),
            freed: Arc::default(),
            tasks,
        }
    }

    /// Takes callbacks and posts them, until it is told to stop.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let mut changes = self.shared.queue.changes();
        loop {
            let wait = self.take().await.unwrap_or_else(|error| {
                let line = format!("no callback can be taken off the queue: {error}");
                self.shared.warn_once("", &line);
                LOOK
            });
            tokio::select! {
                () = stop.cancelled() => return,
                Ok(()) = changes.changed() => {}
                () = self.freed.notified() => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// Starts as many as there is room for. How long to wait before looking again unasked.
    async fn take(&self) -> Result<Duration, Error> {
        let queue = &self.shared.queue;
        let free = self.places.available_permits();
        if free > 0 && queue.callbacks_due().await? {
            for taken in queue.take_callbacks(free).await? {
                if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                    let callbacks = self.clone();
                    self.tasks
                        .spawn(async move { callbacks.one(taken, place).await });
                }
            }
        }
        match queue.callbacks().await? {
            0 => Ok(NOTHING_TO_LOOK_FOR),
            _ => Ok(LOOK),
        }
    }

    async fn one(self, taken: TakenCallback, place: OwnedSemaphorePermit) {
        self.shared.posting.begin(&taken);
        let verdict = self.verdict(&taken).await;
        drop(place);
        self.freed.notify_one();
        self.store(&taken, verdict).await;
        self.shared.posting.end(&taken);
    }

    async fn verdict(&self, taken: &TakenCallback) -> CallbackVerdict {
        let host = host(&taken.callback);
        match self.hosts.ask(&host, Instant::now()) {
            Leave::Given => {}
            Leave::Busy => {
                let (after, tried) = (jittered(BUSY), false);
                return CallbackVerdict::Again { after, tried };
            }
            // It counts as tried, or callbacks to a host that is dead for good would stay for ever.
            Leave::Resting(rest) => return self.again(taken, rest),
        }
        let metrics = &self.shared.metrics;
        let began = Instant::now();
        let posted = self.post.post(&taken.callback).await;
        metrics
            .callback_seconds
            .observe(began.elapsed().as_secs_f64());
        // A host that answers lives, whatever it says; one that is overloaded wants the rest.
        let lives = matches!(posted, Posted::Answered(status, _) if status < 500 && status != 429);
        self.hosts.posted(&host, lives, Instant::now());
        let (label, words) = match &posted {
            Posted::Answered(status, _) => (status.to_string(), format!("status {status}")),
            Posted::Failed(words) => ("error".to_owned(), words.clone()),
        };
        metrics.callbacks.with_label_values(&[&label]).inc();
        match posted {
            Posted::Answered(GONE | 200..300, _) => CallbackVerdict::Done,
            Posted::Answered(status, retry_after) => {
                tracing::info!(call = %taken.callback.id, host, words, "a callback was not taken");
                let asked = retry_after.filter(|_| matches!(status, 429 | 503));
                // What a target asks for is honoured up to the longest wait of ours.
                let waits = &self.shared.config.callback_retry_waits.0;
                let longest = waits.iter().max().copied().unwrap_or_default();
                self.again(taken, asked.unwrap_or_default().min(longest))
            }
            Posted::Failed(_) => {
                tracing::info!(call = %taken.callback.id, host, words, "a callback was not taken");
                self.again(taken, Duration::ZERO)
            }
        }
    }

    /// The next try, where there is one, `least` from now or later.
    fn again(&self, taken: &TakenCallback, least: Duration) -> CallbackVerdict {
        let waits = &self.shared.config.callback_retry_waits.0;
        let next = usize::try_from(taken.tries)
            .ok()
            .and_then(|tried| waits.get(tried));
        let Some(wait) = next else {
            tracing::warn!(call = %taken.callback.id, "a callback is a dead letter");
            return CallbackVerdict::Dead;
        };
        let after = jittered(*wait).max(least);
        CallbackVerdict::Again { after, tried: true }
    }

    /// Stores what became of a callback, trying until it is stored.
    async fn store(&self, taken: &TakenCallback, verdict: CallbackVerdict) {
        let id = taken.callback.id;
        let mut pause = FIRST_PAUSE;
        while let Err(error) = self.shared.queue.settle_callback(taken, verdict).await {
            self.shared
                .metrics
                .ack_failures
                .with_label_values(&["callback"])
                .inc();
            tracing::warn!(call = %id, %error, "what became of a callback cannot be stored yet");
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// A fifth more or less, so that what failed together does not come back together.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.8 + 0.4 * fastrand::f64())
}
