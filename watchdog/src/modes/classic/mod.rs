//! Classic: a process per call, the request on stdin, the answer when the process has ended.

mod body;
mod debug;
mod envelope;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use tokio::time::Instant;

use crate::answer::{self, Response};
use crate::process::{Ended, Fault, Input, Job};
use crate::request::{Body, Call, remaining};
use crate::spool::Kept;
use crate::watchdog::App;
use crate::{environment, go_text, sniff};

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
pub(crate) async fn call(app: &App, request: Request<Body>) -> Response {
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
        Err(error) => return error.answer(app, ends),
    };
    let deadline = earlier(patience, exec_deadline(app));
    let ended = match job(app, &call, body, deadline).run(&app.children).await {
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

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

fn job<'a>(app: &'a App, call: &Call, body: Kept, deadline: Option<Instant>) -> Job<'a> {
    let config = &app.config;
    let variables = if config.cgi_headers {
        debug::log_target(config, call);
        environment::of(call)
    } else {
        Vec::new()
    };
    Job {
        program: &app.program,
        search_path: config.environment.get("PATH"),
        inherited: config.environment.as_slice(),
        variables,
        input: if config.marshal_request {
            Input::enveloped(envelope::before(&call.headers), body, envelope::AFTER)
        } else {
            Input::plain(body)
        },
        combine_output: config.combine_output,
        deadline,
        spool_directory: &config.temporary_directory,
    }
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
        Fault::Spool(error) => {
            let directory = app.config.temporary_directory.display();
            let error = go_text::error(error);
            let words = format!("a body over 1 MiB could not be kept in {directory}: {error}");
            log!("Success=false, Error={words}");
            answer::fault(StatusCode::INTERNAL_SERVER_ERROR, &words)
        }
    }
}
