//! What is counted: the original's series, by its names, labels and buckets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use axum::response::Response;
use faas_http::metrics;
use faas_provider::{EndpointTable, FunctionName};
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
};

use crate::scaling::{Meter, Slots, slots};

/// Label of calls whose function nobody knows: one series, whatever names a caller makes up.
const UNKNOWN: &str = "unknown";
/// Code of a call whose caller hung up before the answer began.
pub(crate) const CALLER_GONE: u16 = 499;

/// All series of the gateway.
pub(crate) struct Metrics {
    registry: Registry,
    invocations: IntCounterVec,
    seconds: HistogramVec,
    started: IntCounterVec,
    replicas: IntGaugeVec,
    queued: IntCounterVec,
    /// Series of others on our page.
    further: Vec<Registry>,
    functions: RwLock<HashMap<FunctionName, Arc<FunctionCounts>>>,
    page: Mutex<()>,
}

/// The series of one function, looked up once.
pub(crate) struct FunctionCounts {
    label: String,
    pub(crate) meter: Arc<Meter>,
    pub(crate) slots: Arc<Slots>,
    started: IntCounter,
    /// `None` once the function is gone: a call that outlives it must not bring its series back.
    by_code: RwLock<Option<HashMap<u16, Series>>>,
}

/// The series of one function and code.
type Series = (IntCounter, Histogram);

impl Metrics {
    pub(crate) fn new(further: Vec<Registry>) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let function = ["function_name"];
        let function_and_code = ["function_name", "code"];
        let invocations = IntCounterVec::new(
            Opts::new("gateway_function_invocation_total", "Function metrics"),
            &function_and_code,
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new("gateway_functions_seconds", "Function time taken"),
            &function_and_code,
        )?;
        // Compat: this counter lacks `_total`; the idler and dashboards ask for it by this name.
        let started = IntCounterVec::new(
            Opts::new(
                "gateway_function_invocation_started",
                "The total number of function HTTP requests started.",
            ),
            &function,
        )?;
        let replicas = IntGaugeVec::new(
            Opts::new(
                "gateway_service_count",
                "Current count of replicas for function",
            ),
            &function,
        )?;
        let queued = IntCounterVec::new(
            Opts::new(
                "gateway_async_published_total",
                "Asynchronous calls put into a queue, by what came of it.",
            ),
            &["queue_name", "result"],
        )?;
        registry.register(Box::new(queued.clone()))?;
        registry.register(Box::new(invocations.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(started.clone()))?;
        registry.register(Box::new(replicas.clone()))?;
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let (functions, page) = (RwLock::default(), Mutex::default());
        Ok(Self {
            registry,
            invocations,
            seconds,
            started,
            replicas,
            queued,
            further,
            functions,
            page,
        })
    }

    /// The series of a function that exists.
    pub(crate) fn function(&self, name: &FunctionName) -> Arc<FunctionCounts> {
        let known = self
            .functions
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned();
        known.unwrap_or_else(|| {
            let mut functions = self
                .functions
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(self.counts(name.as_str()));
            Arc::clone(functions.entry(name.clone()).or_insert_with(new))
        })
    }

    /// What is measured of a function's calls, if it has had any.
    pub(crate) fn meter(&self, name: &FunctionName) -> Option<Arc<Meter>> {
        let functions = self
            .functions
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        functions.get(name).map(|counts| Arc::clone(&counts.meter))
    }

    fn counts(&self, label: &str) -> FunctionCounts {
        let started = self.started.with_label_values(&[label]);
        FunctionCounts {
            label: label.to_owned(),
            meter: Arc::default(),
            slots: Arc::default(),
            started,
            by_code: RwLock::new(Some(HashMap::new())),
        }
    }

    /// Counts a call that got as far as a function that nobody knows.
    pub(crate) fn unknown_function(&self, code: u16) {
        self.invocations
            .with_label_values(&[UNKNOWN, &code.to_string()])
            .inc();
    }

    /// Counts an asynchronous call that was put into a queue, or was to be.
    pub(crate) fn queued(&self, queue: &str, result: &str) {
        self.queued.with_label_values(&[queue, result]).inc();
    }

    /// Counts the end of a call: the code that the caller saw, and the time from the forwarding to the body's end.
    pub(crate) fn ended(&self, counts: &FunctionCounts, code: u16, took: Duration) {
        if let Some((total, seconds)) = self.series(counts, code) {
            total.inc();
            seconds.observe(took.as_secs_f64());
        }
    }

    fn series(&self, counts: &FunctionCounts, code: u16) -> Option<Series> {
        let known = counts.by_code().as_ref()?.get(&code).cloned();
        known.or_else(|| {
            let mut by_code = counts
                .by_code
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let new = || {
                let text = code.to_string();
                let labels = [counts.label.as_str(), text.as_str()];
                let total = self.invocations.with_label_values(&labels);
                (total, self.seconds.with_label_values(&labels))
            };
            Some(by_code.as_mut()?.entry(code).or_insert_with(new).clone())
        })
    }

    /// Sets the slots of functions that limit how many calls a replica takes, by the replicas that they have.
    pub(crate) fn set_slots(&self, table: &EndpointTable) {
        let functions = self
            .functions
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        for (name, counts) in functions.iter() {
            let function = table.get(name.as_str());
            if let Some(total) = function.and_then(|function| slots(function)) {
                counts.slots.set(total);
            }
        }
    }

    /// Forgets the series of functions that are gone, so that they do not stay for ever.
    pub(crate) fn forget_missing(&self, table: &EndpointTable) {
        if !table.complete {
            return;
        }
        let mut functions = self
            .functions
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        functions.retain(|name, counts| {
            let stays = table.functions.contains_key(name);
            if !stays {
                self.remove(counts);
            }
            stays
        });
    }

    fn remove(&self, counts: &FunctionCounts) {
        let label = counts.label.as_str();
        let _ = self.started.remove_label_values(&[label]);
        let mut by_code = counts
            .by_code
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for code in by_code.take().into_iter().flat_map(HashMap::into_keys) {
            let code = code.to_string();
            let _ = self.invocations.remove_label_values(&[label, &code]);
            let _ = self.seconds.remove_label_values(&[label, &code]);
        }
    }

    /// The page for Prometheus; the replicas on it are those of `table`. `scaling` gives further series, as they are just then.
    pub(crate) fn page<'a>(
        &'a self,
        table: &EndpointTable,
        scaling: impl FnOnce() -> &'a Registry,
    ) -> Response {
        // Once more: a call may have looked its function up just before it was deleted.
        self.forget_missing(table);
        // One page at a time: between reset and gather the gauges are nobody else's.
        let _page = self.page.lock().unwrap_or_else(PoisonError::into_inner);
        self.replicas.reset();
        for (name, function) in table.functions.iter() {
            let replicas = i64::try_from(function.replicas).unwrap_or(i64::MAX);
            self.replicas
                .with_label_values(&[name.as_str()])
                .set(replicas);
        }
        metrics::page_of([&self.registry, scaling()].into_iter().chain(&self.further))
    }
}

impl FunctionCounts {
    /// Counts a call that is about to be forwarded.
    pub(crate) fn started(&self) {
        self.started.inc();
    }

    /// What is measured of its calls.
    pub(crate) fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.meter)
    }

    /// Calls that have ended, whatever their code.
    pub(crate) fn total(&self) -> u64 {
        let by_code = self.by_code();
        let totals = by_code.iter().flat_map(HashMap::values);
        totals.map(|(total, _)| total.get()).sum()
    }

    fn by_code(&self) -> RwLockReadGuard<'_, Option<HashMap<u16, Series>>> {
        self.by_code.read().unwrap_or_else(PoisonError::into_inner)
    }
}
