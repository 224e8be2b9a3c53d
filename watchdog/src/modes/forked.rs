//! What streaming and serializing share: how a process is started, and what is told of it.

use http::HeaderValue;
use tokio::time::Instant;

use super::body::earlier;
use crate::answer::{self, Response};
use crate::environment;
use crate::lines::{LineLog, Stream};
use crate::process::{Errors, Launch, Process, StartError};
use crate::request::{Call, remaining};
use crate::watchdog::App;

/// Starts the process for a call.
pub(super) fn start(app: &App, call: &Call) -> Result<Process, StartError> {
    let config = &app.config;
    let launch = Launch {
        program: &app.program,
        search_path: config.environment.get("PATH"),
        inherited: config.environment.ready(),
        variables: environment::of(call, config.mode),
        combine_output: false,
    };
    launch.start(&app.children)
}

/// Where its stderr goes.
pub(super) fn errors(app: &App) -> Errors {
    log!("Started logging: stderr from function.");
    Errors::Lines(LineLog::new(&app.config, Stream::Stderr))
}

/// When it is killed: at `exec_timeout`, or when the caller's own time is over.
pub(super) fn deadline(app: &App, call: &Call, started: Instant) -> Option<Instant> {
    let limits = [app.config.exec_timeout.get(), remaining(&call.headers)];
    let [limit, patience] = limits.map(|limit| started.checked_add(limit?));
    earlier(limit, patience)
}

/// Every answer of these modes has the configured type, whatever is in it.
pub(super) fn typed(app: &App, mut response: Response) -> Response {
    if let Ok(value) = HeaderValue::from_str(&app.config.content_type) {
        answer::content_type(&mut response, value);
    }
    response
}
