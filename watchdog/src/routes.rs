//! Which path goes where.

use std::sync::Arc;

use faas_http::Lingering;
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;

use crate::answer::{self, Response};
use crate::config::Mode;
use crate::places::NoPlace;
use crate::request::{self, Body};
use crate::watchdog::App;

/// Says in the answer of `/_/ready` how many calls are in flight: provider-memory stops a watchdog only while it has none.
const IN_FLIGHT: &str = "x-in-flight";

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

/// Whether the function can take another call: by its own word, where `ready_path` says how to ask; and how many it has.
///
/// That is no call: it takes no place, and is not counted.
async fn ready(app: &App, request: Request<Incoming>) -> Response {
    let answer = (app.health).readiness(
        request.method(),
        app.function.is_ready(),
        app.places.is_full(),
    );
    let mut answer = match &app.config.ready_path {
        Some(path) if answer.status() == StatusCode::OK => {
            app.function.call(app, asking(path, request)).await
        }
        _ => answer,
    };
    let calls = HeaderValue::from(app.metrics.in_flight());
    answer.headers_mut().insert(IN_FLIGHT, calls);
    answer
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

/// A call of the function: counted, checked, limited, run. The count is kept until the answer is sent.
async fn call(app: Arc<App>, request: Request<Incoming>) -> Response {
    let mut count = app.metrics.begin(request.method());
    // Compat: a caller without a token is 429 where there is no place, but in mode classic 401.
    let response = if app.config.mode.is_classic() {
        match checked(&app, request).await {
            Ok(request) => limited(&app, run(&app, request)).await,
            Err(refusal) => refusal,
        }
    } else {
        limited(&app, async {
            match checked(&app, request).await {
                Ok(request) => run(&app, request).await,
                Err(refusal) => refusal,
            }
        })
        .await
    };
    count.answered(response.status());
    answer::holding(response, count)
}

/// The request, if its caller may call.
async fn checked(app: &App, mut request: Request<Incoming>) -> Result<Request<Incoming>, Response> {
    let Some(gate) = &app.gate else {
        return Ok(request);
    };
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let refused = gate.check(&method, &path, request.headers_mut()).await;
    let Err(refusal) = refused else {
        return Ok(request);
    };
    // What the caller still sends is taken in, or it would lose the answer to a reset.
    let (head, body) = request.into_parts();
    drop(Lingering::new(&head, body));
    Err(refusal)
}

/// The answer, if there is a place for the call, which is then kept until the answer is sent.
async fn limited(app: &App, answer: impl Future<Output = Response>) -> Response {
    match app.places.take() {
        Ok(Some(place)) => answer::holding(answer.await, place),
        Ok(None) => answer.await,
        Err(NoPlace) => app.places.refusal(),
    }
}

async fn run(app: &App, request: Request<Incoming>) -> Response {
    app.function.call(app, request.map(Body::Left)).await
}
