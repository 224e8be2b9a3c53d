//! What `write_debug` and `debug_headers` print.

use std::io::{self, Write};

use http::HeaderMap;
use http::header::HOST;
use tokio::task::spawn_blocking;

use crate::config::Config;
use crate::environment::canonical;
use crate::log;
use crate::request::Call;
use crate::spool::Kept;

/// `[in] Name=[v1 v2]` per header on stdout.
pub(super) fn print_headers(direction: &str, headers: &HeaderMap) {
    let mut lines = Vec::new();
    for name in headers.keys().filter(|name| **name != HOST) {
        let values: Vec<_> = headers.get_all(name).iter().map(|v| v.as_bytes()).collect();
        lines.extend_from_slice(format!("[{direction}] {}=[", canonical(name.as_str())).as_bytes());
        lines.extend_from_slice(&values.join(&b' '));
        lines.extend_from_slice(b"]\n");
    }
    let _ = io::stdout().lock().write_all(&lines);
}

/// Query and path of a call, if details are wanted.
pub(super) fn log_target(config: &Config, call: &Call) {
    if config.write_debug {
        log!("Query  {}", log::excerpt(call.query.as_bytes()));
        log!("Path  {}", log::excerpt(&call.path));
    }
}

/// Copies an output to stdout as it is.
pub(super) async fn print(output: &mut Kept) -> io::Result<()> {
    while let Some(chunk) = output.next().await? {
        let copy = spawn_blocking(move || {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&chunk).and_then(|()| stdout.flush())
        });
        // A log that nobody reads is no reason to fail a call.
        let _ = copy.await;
    }
    output.rewind().await
}

/// Logs an output, in pieces if it is much.
pub(super) async fn log_output(output: &mut Kept) -> io::Result<()> {
    while let Some(chunk) = output.next().await? {
        log::output("Out=", &chunk);
    }
    output.rewind().await
}
