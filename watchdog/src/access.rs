//! The line that is logged at the end of a call, in the modes of the other program.

use std::sync::Arc;

use http::header::USER_AGENT;
use http::{HeaderMap, Method};
use tokio::time::Instant;

use crate::access_log::AccessLog;
use crate::config::Config;
use crate::log;
use crate::request::Call;
use crate::watchdog::App;

/// Writes its line when dropped, however the call ends. The probes of an orchestrator get none.
pub(crate) struct Access {
    log: Arc<AccessLog>,
    /// Method and target, and the call's id in its brackets.
    texts: Option<(String, String)>,
    started: Instant,
    /// How the status goes on in words, in mode http.
    pub(crate) reason: Option<&'static str>,
    /// What the size is called.
    pub(crate) measure: &'static str,
    /// 499 until there is an answer: nobody was there for one.
    pub(crate) status: u16,
    pub(crate) bytes: u64,
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
        let agent = headers.get(USER_AGENT).map(|agent| agent.as_bytes());
        let probed = agent.is_some_and(|agent| agent.starts_with(b"kube-probe"));
        let what = || format!("{method} {}", log::excerpt(target.as_bytes()));
        Self {
            log: Arc::clone(&app.access_log),
            texts: (!probed).then(|| (what(), id(&app.config, headers))),
            started,
            reason: None,
            measure: "ContentLength",
            status: 499,
            bytes: 0,
        }
    }
}

fn id(config: &Config, headers: &HeaderMap) -> String {
    if !config.log_callid {
        return String::new();
    }
    let id = headers.get("x-call-id").map(|id| id.as_bytes());
    format!(" [{}]", log::excerpt(id.unwrap_or(b"none")))
}

impl Drop for Access {
    fn drop(&mut self) {
        if let Some((what, id)) = &self.texts {
            let (status, size) = (self.status, size(self.bytes));
            let reason = self
                .reason
                .map_or(String::new(), |reason| format!(" {reason}"));
            let measure = self.measure;
            let seconds = self.started.elapsed().as_secs_f64();
            let line = format!("{what} - {status}{reason} - {measure}: {size} ({seconds:.4}s){id}");
            self.log.add(&line);
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
