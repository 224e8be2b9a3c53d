//! Counting requests, and the page that shows the counts. Every service owns its registry; there is no default one.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};

/// Counter and histogram of requests by `code`, `method` and `path`, the path being the route's template.
#[derive(Clone, Debug)]
pub struct RequestMetrics {
    total: IntCounterVec,
    seconds: HistogramVec,
}

impl RequestMetrics {
    /// Registers `<prefix>_requests_total` and `<prefix>_request_duration_seconds`.
    ///
    /// # Errors
    /// When the registry has one of these already.
    pub fn register(registry: &Registry, prefix: &str) -> prometheus::Result<Self> {
        let labels = ["code", "method", "path"];
        let total = IntCounterVec::new(
            Opts::new(
                format!("{prefix}_requests_total"),
                "The total number of HTTP requests.",
            ),
            &labels,
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new(
                format!("{prefix}_request_duration_seconds"),
                "Seconds spent serving HTTP requests.",
            ),
            &labels,
        )?;
        registry.register(Box::new(total.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self { total, seconds })
    }
}

/// Middleware: counts a request when its response begins.
pub async fn count(
    State(metrics): State<RequestMetrics>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let method = method_label(request.method());
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str)
        .to_owned();
    let response = next.run(request).await;
    let status = response.status();
    let labels = [status.as_str(), method, &path];
    metrics.total.with_label_values(&labels).inc();
    metrics
        .seconds
        .with_label_values(&labels)
        .observe(started.elapsed().as_secs_f64());
    response
}

/// The method as a label; made-up methods share one, so that a caller cannot make series.
fn method_label(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
    ];
    KNOWN
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or("other")
}

/// The text page of a registry.
#[must_use]
pub fn page(registry: &Registry) -> Response {
    page_of([registry])
}

/// The text page of several registries, for services that share a port. They have no series in common.
#[must_use]
pub fn page_of<'r>(registries: impl IntoIterator<Item = &'r Registry>) -> Response {
    let families: Vec<_> = registries.into_iter().flat_map(Registry::gather).collect();
    match TextEncoder::new().encode_to_string(&families) {
        Ok(text) => (
            [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
            text,
        )
            .into_response(),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("metrics cannot be written: {error}\n"),
        )
            .into_response(),
    }
}
