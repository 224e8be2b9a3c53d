//! What is counted, under the names that dashboards know, and the page that shows it.

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderValue, Method, Request, StatusCode};
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

use crate::answer::{self, Response};

/// The counts of function calls; everything but health and readiness is one.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    total: IntCounterVec,
    seconds: HistogramVec,
    in_flight: IntGauge,
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

/// One call being counted.
#[derive(Debug)]
pub(crate) struct Count {
    metrics: Arc<Metrics>,
    method: &'static str,
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
        // Nobody was there for the answer any more: 499, as proxies call it.
        let code = self.status.as_ref().map_or("499", StatusCode::as_str);
        let labels = [code, self.method];
        self.metrics.in_flight.dec();
        self.metrics.total.with_label_values(&labels).inc();
        self.metrics
            .seconds
            .with_label_values(&labels)
            .observe(self.started.elapsed().as_secs_f64());
    }
}

/// The method as a label; made-up methods share one, so that a caller cannot make series.
fn label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "get",
        "PUT" => "put",
        "HEAD" => "head",
        "POST" => "post",
        "DELETE" => "delete",
        "CONNECT" => "connect",
        "OPTIONS" => "options",
        "NOTIFY" => "notify",
        "TRACE" => "trace",
        "PATCH" => "patch",
        _ => "unknown",
    }
}
