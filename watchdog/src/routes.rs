//! Which path goes where.

use std::sync::Arc;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;

use crate::answer::{self, Response};
use crate::request::{self, Body};
use crate::watchdog::App;

/// Everything that comes in on the function's port.
pub(crate) async fn route(app: Arc<App>, request: Request<Incoming>) -> Response {
    if let Some(refusal) = request::refuse(&request) {
        return if refusal.status().is_client_error() {
            answer::from_hop(refusal, "of-watchdog")
        } else {
            refusal
        };
    }
    let path: Vec<u8> = percent_decode_str(request.uri().path()).collect();
    match path.as_slice() {
        b"/_/health" => app.health.answer(request.method()),
        // The original's classic functions were forked with this path, but orchestrators ask it of every function.
        b"/_/ready" => app.health.readiness(request.method(), app.places.is_full()),
        _ => call(app, request).await,
    }
}

/// A call of the function: counted, limited, run. Count and place are kept until the answer is sent.
async fn call(app: Arc<App>, request: Request<Incoming>) -> Response {
    let mut count = app.metrics.begin(request.method());
    let Some(place) = app.places.take() else {
        count.answered(StatusCode::TOO_MANY_REQUESTS);
        return answer::holding(app.places.refusal(), count);
    };
    let response = app.function.call(&app, request.map(Body::Left)).await;
    count.answered(response.status());
    answer::holding(response, (count, place))
}
