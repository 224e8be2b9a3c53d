//! Serializing: a process per call, the request on stdin once it is whole, the answer when the process has ended.

use std::process::ExitStatus;

use http::{HeaderName, HeaderValue, Request, StatusCode};
use tokio::time::Instant;

use super::body::{self, BodyError};
use super::forked;
use crate::access::Access;
use crate::answer::{self, Response};
use crate::go_text;
use crate::process::{Fault, Input, Job};
use crate::request::{Body, Call};
use crate::server::Ends;
use crate::spool::Kept;
use crate::watchdog::App;

const DURATION: HeaderName = HeaderName::from_static("x-duration-seconds");

/// Why there is no output to answer with.
enum Failure {
    Body(BodyError),
    Fault(Fault),
    Ended(ExitStatus),
}

/// Runs the function for one request. Dropped when the caller hangs up, which kills the process.
pub(crate) async fn call(app: &App, request: Request<Body>) -> Response {
    let started = Instant::now();
    let ends = body::ends(&request);
    let (call, body) = Call::of(request);
    let mut access = Access::new(app, &call, started);
    let response = match run(app, &call, body, started).await {
        Ok(output) => {
            access.bytes = output.length();
            answer::output(StatusCode::OK, String::new(), output)
        }
        Err(failure) => {
            let words = words(&failure, ends);
            log!("{words}");
            access.bytes = words.len() as u64;
            answer(&failure, words)
        }
    };
    access.status = response.status().as_u16();
    timed(forked::typed(app, response), started)
}

async fn run(app: &App, call: &Call, body: Body, started: Instant) -> Result<Kept, Failure> {
    let deadline = forked::deadline(app, call, started);
    let body = body::keep(app, body, started, deadline)
        .await
        .map_err(Failure::Body)?;
    let process = forked::start(app, call).map_err(|error| Failure::Fault(error.into()))?;
    let job = Job {
        input: Input::plain(body),
        errors: forked::errors(app),
        deadline,
        spool_directory: &app.config.temporary_directory,
    };
    let ended = process.run(job).await.map_err(Failure::Fault)?;
    if !ended.status.success() {
        return Err(Failure::Ended(ended.status));
    }
    Ok(ended.output)
}

// Compat: every failure is 500 with nothing but these words; callers compare them.
fn words(failure: &Failure, ends: Option<Ends>) -> String {
    match failure {
        Failure::Ended(status) => go_text::end(*status),
        Failure::Fault(Fault::TimedOut) => "signal: killed".to_owned(),
        Failure::Fault(Fault::Spool(error)) | Failure::Body(BodyError::Spool(error)) => {
            format!("a body could not be kept: {}", go_text::error(error))
        }
        Failure::Fault(error @ Fault::Start(_)) => error.to_string(),
        Failure::Body(error) => match error.told(ends) {
            Some((words, _)) => words,
            None => "context deadline exceeded".to_owned(),
        },
    }
}

fn answer(failure: &Failure, words: String) -> Response {
    let answer = answer::plain(StatusCode::INTERNAL_SERVER_ERROR, words);
    match failure {
        // The function's own failure, which is no hop's.
        Failure::Ended(_) => answer,
        Failure::Fault(_) => answer::from_hop(answer, "of-watchdog"),
        // The rest of the body is still on the connection.
        Failure::Body(_) => answer::closing(answer::from_hop(answer, "of-watchdog")),
    }
}

fn timed(mut response: Response, started: Instant) -> Response {
    let seconds = format!("{:.6}", started.elapsed().as_secs_f64());
    if let Ok(seconds) = HeaderValue::from_str(&seconds) {
        response.headers_mut().insert(DURATION, seconds);
    }
    response
}
