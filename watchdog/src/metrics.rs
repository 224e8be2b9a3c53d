//! What is counted, under the names that dashboards know, and the page that shows it.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::{HeaderValue, Method, Request, StatusCode};
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

use crate::answer::{self, Response};

/// The counts of function calls; everything but health and readiness is one.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    total: IntCounterVec,
    seconds: HistogramVec,
    in_flight: IntGauge,
    /// The series of calls that were answered 200, which nearly all are, by method: looked up once.
    good: [OnceLock<Series>; METHODS.len()],
}

/// What calls with the same labels are counted in.
#[derive(Clone, Debug)]
struct Series {
    total: IntCounter,
    seconds: Histogram,
}

impl Metrics {
    pub(crate) fn new() -> prometheus::Result<Self> {
        let labels = ["code", "method"];
        let metrics = Self {
            registry: Registry::new(),
            total: IntCounterVec::new(
                Opts::new("http_requests_total", "total HTTP requests processed"),
                &labels,
            )?,
            seconds: HistogramVec::new(
                HistogramOpts::new(
                    "http_request_duration_seconds",
                    "Seconds spent serving HTTP requests.",
                ),
                &labels,
            )?,
            in_flight: IntGauge::new("http_requests_in_flight", "total HTTP requests in-flight")?,
            good: Default::default(),
        };
        let registry = &metrics.registry;
        registry.register(Box::new(metrics.total.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.in_flight.clone()))?;
        registry.register(Box::new(ProcessCollector::for_self()))?;
        Ok(metrics)
    }

    /// Counts a call from now until the count is dropped.
    pub(crate) fn begin(self: &Arc<Self>, method: &Method) -> Count {
        self.in_flight.inc();
        Count {
            metrics: Arc::clone(self),
            method: label(method),
            started: Instant::now(),
            status: None,
        }
    }

    fn count(&self, method: usize, status: Option<StatusCode>, seconds: f64) {
        self.in_flight.dec();
        // Nobody was there for the answer any more: 499, as proxies call it.
        let code = status.as_ref().map_or("499", StatusCode::as_str);
        let series = || Series::of(self, [code, METHODS[method]]);
        if status == Some(StatusCode::OK) {
            self.good[method].get_or_init(series).count(seconds);
        } else {
            series().count(seconds);
        }
    }

    pub(crate) fn in_flight(&self) -> i64 {
        self.in_flight.get()
    }

    /// The answer of the metrics port. As it is, also for those who would take it packed: a packer of a page that is asked
    /// for a few times a minute would be in every function's image.
    pub(crate) fn page<B>(&self, request: &Request<B>) -> Response {
        if request.uri().path() != "/metrics" {
            return answer::not_found();
        }
        match TextEncoder::new().encode_to_string(&self.registry.gather()) {
            Ok(text) => {
                let mut response = answer::plain(StatusCode::OK, text);
                let format = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
                answer::content_type(&mut response, HeaderValue::from_static(format));
                response
            }
            Err(error) => answer::plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }
}

impl Series {
    fn of(metrics: &Metrics, labels: [&str; 2]) -> Self {
        Self {
            total: metrics.total.with_label_values(&labels),
            seconds: metrics.seconds.with_label_values(&labels),
        }
    }

    fn count(&self, seconds: f64) {
        self.total.inc();
        self.seconds.observe(seconds);
    }
}

/// One call being counted.
#[derive(Debug)]
pub(crate) struct Count {
    metrics: Arc<Metrics>,
    /// Which of [`METHODS`].
    method: usize,
    started: Instant,
    status: Option<StatusCode>,
}

impl Count {
    pub(crate) fn answered(&mut self, status: StatusCode) {
        // Compat: a tunnel that has ended is a success.
        let tunnel = status == StatusCode::SWITCHING_PROTOCOLS;
        self.status = Some(if tunnel { StatusCode::OK } else { status });
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.metrics.count(self.method, self.status, seconds);
    }
}

/// The methods as labels. The last is shared by all that are made up, so that a caller cannot make series.
const METHODS: [&str; 11] = [
    "get", "post", "put", "head", "delete", "patch", "options", "connect", "trace", "notify",
    "unknown",
];

/// The place of a method among them.
fn label(method: &Method) -> usize {
    let known = METHODS.iter().position(|known| {
        let name = method.as_str();
        // As it is written in requests, in capitals.
        name.len() == known.len()
            && name
                .bytes()
                .zip(known.bytes())
                .all(|(a, b)| a == b.to_ascii_uppercase())
    });
    known.unwrap_or(METHODS.len() - 1)
}
