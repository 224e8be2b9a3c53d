//! Which path goes where.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;

use crate::answer::{self, Response};
use crate::config::Mode;
use crate::request::{self, Body};
use crate::watchdog::App;

/// Everything that comes in on the function's port.
pub(crate) async fn route(app: Arc<App>, request: Request<Incoming>) -> Response {
    if let Some(refusal) = request::refuse(&request, app.config.mode == Mode::Http) {
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
        b"/_/ready" => ready(&app, request).await,
        _ => call(app, request).await,
    }
}

/// Whether the function can take another call: by its own word, where `ready_path` says how to ask.
///
/// That is no call: it takes no place, and is not counted.
async fn ready(app: &App, request: Request<Incoming>) -> Response {
    let answer = (app.health).readiness(
        request.method(),
        app.function.is_ready(),
        app.places.is_full(),
    );
    match &app.config.ready_path {
        Some(path) if answer.status() == StatusCode::OK => {
            app.function.call(app, asking(path, request)).await
        }
        _ => answer,
    }
}

/// The question that the function gets: the probe's headers, nothing else of it.
fn asking(path: &PathAndQuery, probe: Request<Incoming>) -> Request<Body> {
    let (mut head, _) = probe.into_parts();
    head.uri = Uri::from(path.clone());
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT] {
        head.headers.remove(name);
    }
    Request::from_parts(head, Body::Right(Empty::new()))
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
