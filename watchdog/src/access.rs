//! The line that is logged at the end of a call, in the modes of the other program.

use std::io::{self, Write};
use std::sync::Arc;

use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, Method};
use tokio::time::Instant;

use crate::access_log::AccessLog;
use crate::log;
use crate::request::Call;
use crate::watchdog::App;

/// Writes its line when dropped, however the call ends. The probes of an orchestrator get none.
pub(crate) struct Access {
    log: Arc<AccessLog>,
    /// What was called; none for a probe.
    called: Option<Called>,
    started: Instant,
    /// How the status goes on in words, in mode http.
    pub(crate) reason: Option<&'static str>,
    /// What the size is called.
    pub(crate) measure: &'static str,
    /// 499 until there is an answer: nobody was there for one.
    pub(crate) status: u16,
    pub(crate) bytes: u64,
}

struct Called {
    method: Method,
    target: String,
    /// The call's id, where it is logged.
    id: Option<Option<HeaderValue>>,
}

impl Access {
    pub(crate) fn new(app: &App, call: &Call, started: Instant) -> Self {
        Self::of(app, &call.method, &call.target, &call.headers, started)
    }

    /// The same of a request that is not taken apart.
    pub(crate) fn of(
        app: &App,
        method: &Method,
        target: &str,
        headers: &HeaderMap,
        started: Instant,
    ) -> Self {
        let agent = headers.get(USER_AGENT).map(HeaderValue::as_bytes);
        let probed = agent.is_some_and(|agent| agent.starts_with(b"kube-probe"));
        let logged = app.config.log_callid;
        Self {
            log: Arc::clone(&app.access_log),
            called: (!probed).then(|| Called {
                method: method.clone(),
                target: target.to_owned(),
                id: logged.then(|| headers.get("x-call-id").cloned()),
            }),
            started,
            reason: None,
            measure: "ContentLength",
            status: 499,
            bytes: 0,
        }
    }

    /// `GET / - 200 OK - ContentLength: 6B (0.0012s) [id]`
    fn write(&self, called: &Called, line: &mut Vec<u8>) -> io::Result<()> {
        write!(line, "{} ", called.method)?;
        log::write_excerpt(called.target.as_bytes(), line);
        write!(line, " - {}", self.status)?;
        if let Some(reason) = self.reason {
            write!(line, " {reason}")?;
        }
        let seconds = self.started.elapsed().as_secs_f64();
        let size = size(self.bytes);
        write!(line, " - {}: {size} ({seconds:.4}s)", self.measure)?;
        if let Some(id) = &called.id {
            line.extend_from_slice(b" [");
            log::write_excerpt(id.as_ref().map_or(b"none", HeaderValue::as_bytes), line);
            line.push(b']');
        }
        Ok(())
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        if let Some(called) = &self.called {
            self.log.add(|line| {
                // Memory takes all that is written to it.
                let _ = self.write(called, line);
            });
        }
    }
}

/// A size with four significant digits: `611B`, `1.226kB`, `52.43MB`.
pub(crate) fn size(bytes: u64) -> String {
    let mut scaled = bytes as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    // What would be rounded to 1000 belongs to the next unit.
    while scaled >= 999.95
        && let Some(next) = units.next()
    {
        scaled /= 1000.0;
        unit = next;
    }
    if unit == "B" {
        return format!("{bytes}B");
    }
    let decimals = match scaled {
        ..9.9995 => 3,
        ..99.995 => 2,
        _ => 1,
    };
    let digits = format!("{scaled:.decimals$}");
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    format!("{digits}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_four_digits() {
        for (bytes, text) in [
            (0, "0B"),
            (611, "611B"),
            (999, "999B"),
            (1000, "1kB"),
            (1226, "1.226kB"),
            (12_345, "12.35kB"),
            (52_428_800, "52.43MB"),
            (999_960, "1MB"),
            (123_456_789_000, "123.5GB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
