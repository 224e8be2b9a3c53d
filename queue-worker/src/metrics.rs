//! What is counted: the original's series by its names, and ours.

use faas_queue::{Books, Settlement, Taken, Verdict, Work};
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, Result,
};

/// All series of the worker.
pub(crate) struct Metrics {
    queue: String,
    pending: IntGaugeVec,
    ack_pending: IntGaugeVec,
    oldest: GaugeVec,
    submitted: IntGaugeVec,
    drift: IntGauge,
    callbacks_pending: IntGauge,
    processed: IntCounterVec,
    inflight: IntGaugeVec,
    limit: IntGaugeVec,
    retries: IntCounterVec,
    dead: IntCounterVec,
    latency: Histogram,
    pub(crate) redelivered: IntCounter,
    pub(crate) lease_lost: IntCounter,
    pub(crate) ack_failures: IntCounterVec,
    pub(crate) callbacks: IntCounterVec,
    pub(crate) callback_seconds: Histogram,
}

const QUEUE: &str = "queue_name";
const FUNCTION: &str = "function_name";

impl Metrics {
    pub(crate) fn new(registry: &Registry, queue: &str) -> Result<Self> {
        let series = Series(registry);
        let of_function = [QUEUE, FUNCTION];
        Ok(Self {
            queue: queue.to_owned(),
            pending: series.gauges(
                "queue_worker_pending_messages",
                "Calls waiting in the queue.",
                &of_function,
            )?,
            ack_pending: series.gauges(
                "queue_worker_ack_pending",
                "Calls taken off the queue and not settled.",
                &of_function,
            )?,
            oldest: series.float_gauges(
                "queue_worker_oldest_message_seconds",
                "Seconds since the call became due that has been due for longest.",
                &of_function,
            )?,
            // Compat: a gauge, whatever its name says.
            submitted: series.gauges(
                "queue_worker_messages_submitted_total",
                "Calls ever accepted.",
                &[QUEUE],
            )?,
            drift: series.int_gauge(
                "queue_worker_ledger_drift",
                "Calls that were accepted and are nowhere: anything but 0 is a fault.",
            )?,
            callbacks_pending: series.int_gauge(
                "queue_worker_callbacks_pending",
                "Callbacks that wait or are being posted.",
            )?,
            processed: series.counters(
                "queue_worker_messages_processed_total",
                "Calls that have ended, however.",
                &[QUEUE],
            )?,
            inflight: series.gauges(
                "queue_worker_function_invocation_inflight",
                "Calls being made.",
                &of_function,
            )?,
            limit: series.gauges(
                "queue_worker_concurrency_limit",
                "Calls of a function that may be made at once.",
                &[FUNCTION],
            )?,
            retries: series.counters(
                "queue_worker_retries_total",
                "Attempts that are made again, by the status they ended with.",
                &[FUNCTION, "code"],
            )?,
            dead: series.counters(
                "queue_worker_dead_letter_total",
                "Calls that became dead letters.",
                &[QUEUE, FUNCTION, "reason"],
            )?,
            latency: series.histogram(
                "queue_worker_queue_latency_seconds",
                "Seconds from when a call was due to its first attempt.",
            )?,
            redelivered: series.counter(
                "queue_worker_redelivered_total",
                "Calls taken again because nobody told how they had ended.",
            )?,
            lease_lost: series.counter(
                "queue_worker_lease_lost_total",
                "Leases that ended while the call ran.",
            )?,
            ack_failures: series.counters(
                "queue_worker_ack_failures_total",
                "Attempts to store what became of something that failed.",
                &["kind"],
            )?,
            callbacks: series.counters(
                "queue_worker_callback_total",
                "Callbacks posted, by the status that answered, or `error`.",
                &["status"],
            )?,
            callback_seconds: series.histogram(
                "queue_worker_callback_seconds",
                "Seconds that posting a callback took.",
            )?,
        })
    }

    pub(crate) fn running(&self, function: &str, calls: usize) {
        let calls = i64::try_from(calls).unwrap_or(i64::MAX);
        self.inflight
            .with_label_values(&[self.queue.as_str(), function])
            .set(calls);
    }

    pub(crate) fn limit(&self, function: &str, calls: usize) {
        let calls = i64::try_from(calls).unwrap_or(i64::MAX);
        self.limit.with_label_values(&[function]).set(calls);
    }

    /// Forgets the gauges of a function of which nothing is heard any more.
    pub(crate) fn forget(&self, function: &str) {
        let _ = self
            .inflight
            .remove_label_values(&[self.queue.as_str(), function]);
        let _ = self.limit.remove_label_values(&[function]);
    }

    /// Counts what an attempt came to.
    pub(crate) fn decided(&self, taken: &Taken, settlement: &Settlement) {
        if taken.delivery == 1 {
            self.latency.observe(taken.waited.as_secs_f64());
        }
        let function = taken.function.as_str();
        match settlement.verdict {
            Verdict::Retry { .. } => {
                let code = settlement.status;
                let code = code.map_or_else(|| "unreachable".to_owned(), |code| code.to_string());
                self.retries.with_label_values(&[function, &code]).inc();
                return;
            }
            Verdict::Dead(reason) => {
                let labels = [self.queue.as_str(), function, &reason.to_string()];
                self.dead.with_label_values(&labels).inc();
            }
            Verdict::Succeeded | Verdict::Failed | Verdict::Cancelled => {}
        }
        self.processed
            .with_label_values(&[self.queue.as_str()])
            .inc();
    }

    /// Reads depths and books from the queue. Whether anything waits.
    pub(crate) async fn measure(&self, queue: &dyn Work) -> bool {
        let read = async {
            let (depths, books) = (queue.depths().await?, queue.books().await?);
            Ok::<_, faas_queue::Error>((depths, books, queue.callbacks().await?))
        };
        let Ok((depths, books, callbacks)) = read.await else {
            return true;
        };
        let now_ms = queue.now_ms();
        for gauges in [&self.pending, &self.ack_pending] {
            gauges.reset();
        }
        self.oldest.reset();
        for depth in &depths {
            let labels = [self.queue.as_str(), depth.function.as_str()];
            self.pending
                .with_label_values(&labels)
                .set(whole(depth.waiting));
            self.ack_pending
                .with_label_values(&labels)
                .set(whole(depth.running));
            let since = depth.due_ms.map_or(0, |due| now_ms.saturating_sub(due));
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of a call's age")]
            let seconds = since as f64 / 1000.0;
            self.oldest.with_label_values(&labels).set(seconds);
        }
        self.write(&books);
        self.callbacks_pending.set(whole(callbacks));
        !depths.is_empty() || callbacks > 0
    }

    fn write(&self, books: &Books) {
        let submitted = self.submitted.with_label_values(&[self.queue.as_str()]);
        submitted.set(whole(books.accepted));
        self.drift.set(books.drift());
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Makes series and registers them.
struct Series<'r>(&'r Registry);

impl Series<'_> {
    fn int_gauge(&self, name: &str, help: &str) -> Result<IntGauge> {
        let made = IntGauge::new(name, help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
        let made = IntGaugeVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn float_gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec> {
        let made = GaugeVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter> {
        let made = IntCounter::new(name, help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        let made = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn histogram(&self, name: &str, help: &str) -> Result<Histogram> {
        let made = Histogram::with_opts(HistogramOpts::new(name, help))?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }
}
