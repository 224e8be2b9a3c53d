//! Classic: a process per call, the request on stdin, the answer when the process has ended.

mod debug;
mod envelope;
mod spares;

use std::io;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use tokio::time::Instant;

use super::body::{self, BodyError, earlier};
use crate::answer::{self, Response};
use crate::process::{Ended, Errors, Fault, Input, Job, Launch};
use crate::request::{Body, Call, remaining};
use crate::server::Ends;
use crate::spool::Kept;
use crate::watchdog::App;
use crate::{environment, go_text, sniff};

pub(crate) use spares::Spares;

/// Methods that reach a function.
const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

const DURATION: HeaderName = HeaderName::from_static("x-duration-seconds");

/// Runs the function for one request. Dropped when the caller hangs up, which kills the process.
pub(crate) async fn call(app: &App, spares: &Spares, request: Request<Body>) -> Response {
    let started = Instant::now();
    if !METHODS.contains(request.method()) {
        let refusal = answer::empty(StatusCode::METHOD_NOT_ALLOWED);
        return answer::from_hop(refusal, "of-watchdog");
    }
    log!("Forking fprocess.");
    let ends = body::ends(&request);
    let (call, body) = Call::of(request);
    if app.config.debug_headers {
        debug::print_headers("in", &call.headers);
    }
    // The caller's patience counts from here; exec_timeout only once the body is there.
    let patience = remaining(&call.headers).and_then(|time| started.checked_add(time));
    let body = match body::keep(app, body, started, patience).await {
        Ok(body) => body,
        Err(error) => return refuse(app, &error, ends),
    };
    let deadline = earlier(patience, exec_deadline(app));
    let ended = match run(app, spares, &call, body, deadline).await {
        Ok(ended) => ended,
        Err(fault) => return faulty(app, &fault),
    };
    if ended.status.success() {
        succeed(app, &call.headers, ended.output, started).await
    } else {
        fail(app, ended).await
    }
}

fn exec_deadline(app: &App) -> Option<Instant> {
    let limit = app.config.exec_timeout.get()?;
    Instant::now().checked_add(limit)
}

/// No process is started when the time is over already.
async fn run(
    app: &App,
    spares: &Spares,
    call: &Call,
    body: Kept,
    deadline: Option<Instant>,
) -> Result<Ended, Fault> {
    if deadline.is_some_and(|end| end <= Instant::now()) {
        return Err(Fault::TimedOut);
    }
    let config = &app.config;
    let process = match spares.take() {
        Some(process) => process,
        None => launch(app, variables(app, call)).start(&app.children)?,
    };
    let job = Job {
        input: if config.marshal_request {
            Input::enveloped(envelope::before(&call.headers), body, envelope::AFTER)
        } else {
            Input::plain(body)
        },
        errors: Errors::Whole,
        deadline,
        spool_directory: &config.temporary_directory,
    };
    process.run(job).await
}

fn launch(app: &App, variables: Vec<Vec<u8>>) -> Launch<'_> {
    let config = &app.config;
    Launch {
        program: &app.program,
        search_path: config.environment.get("PATH"),
        inherited: config.environment.ready(),
        variables,
        combine_output: config.combine_output,
    }
}

fn variables(app: &App, call: &Call) -> Vec<Vec<u8>> {
    if !app.config.cgi_headers {
        return Vec::new();
    }
    debug::log_target(&app.config, call);
    environment::of(call, app.config.mode)
}

/// The body is not there. The connection is of no more use after the answer: the rest of the body is still on it.
fn refuse(app: &App, error: &BodyError, ends: Option<Ends>) -> Response {
    let refusal = match (error.told(ends), error) {
        (Some((words, read)), _) => {
            log!("Error={words}, ReadLen={read}");
            answer::fault(StatusCode::BAD_REQUEST, &words)
        }
        (None, BodyError::Spool(error)) => no_room(app, error),
        (None, _) => faulty(app, &Fault::TimedOut),
    };
    answer::closing(refusal)
}

/// The process ended with 0: its output is the answer.
async fn succeed(app: &App, request: &HeaderMap, mut output: Kept, started: Instant) -> Response {
    let seconds = format!("{:.6}", started.elapsed().as_secs_f64());
    if app.config.write_debug {
        if let Err(fault) = debug::print(&mut output).await {
            return faulty(app, &fault.into());
        }
        log!("Duration: {seconds}s");
    } else {
        log!("Wrote {} Bytes - Duration: {seconds}s", output.length());
    }
    let content_type = content_type(&app.config.content_type, request, &output);
    let mut response = answer::output(StatusCode::OK, String::new(), output);
    if let Some(value) = content_type {
        answer::content_type(&mut response, value);
    }
    if let Ok(seconds) = HeaderValue::from_str(&seconds) {
        response.headers_mut().insert(DURATION, seconds);
    }
    if app.config.debug_headers {
        debug::print_headers("out", response.headers());
    }
    response
}

/// The configured type, else the request's own, else a guess; none for nothing.
fn content_type(configured: &str, request: &HeaderMap, output: &Kept) -> Option<HeaderValue> {
    if !configured.is_empty() {
        return HeaderValue::from_str(configured).ok();
    }
    let asked = request.get(CONTENT_TYPE).filter(|value| !value.is_empty());
    asked.cloned().or_else(|| {
        (output.length() > 0).then(|| HeaderValue::from_static(sniff::content_type(output.head())))
    })
}

/// The process ended badly: how, and what it wrote.
async fn fail(app: &App, ended: Ended) -> Response {
    let Ended { status, mut output } = ended;
    let end = go_text::end(status);
    log!("Success=false, Error={end}");
    if app.config.write_debug
        && let Err(fault) = debug::log_output(&mut output).await
    {
        return faulty(app, &fault.into());
    }
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    let mut response = answer::output(status, format!("{end}\n"), output);
    answer::content_type(&mut response, HeaderValue::from_static(sniff::TEXT));
    response
}

/// The function did not get to answer. The only place where such a failure becomes a number.
fn faulty(app: &App, fault: &Fault) -> Response {
    match fault {
        Fault::TimedOut => {
            log!("Killing process: {}", app.config.fprocess.display());
            answer::fault(StatusCode::REQUEST_TIMEOUT, "Killed process.")
        }
        Fault::Start(error) => {
            log!("Success=false, Error={error}");
            answer::fault(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
        }
        Fault::Spool(error) => no_room(app, error),
    }
}

fn no_room(app: &App, error: &io::Error) -> Response {
    let directory = app.config.temporary_directory.display();
    let error = go_text::error(error);
    let words = format!("a body over 1 MiB could not be kept in {directory}: {error}");
    log!("Success=false, Error={words}");
    answer::fault(StatusCode::INTERNAL_SERVER_ERROR, &words)
}
