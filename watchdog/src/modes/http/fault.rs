//! Why the process gave no answer, and what the caller sees then.

use std::time::Duration;
use std::{fmt, io};

use ::http::StatusCode;
use faas_http::duration;
use faas_http::forward::Failure;

use crate::answer::{self, Response};
use crate::config::Config;
use crate::go_text;

/// Why the process gave no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// This limit passed.
    TimedOut(Limit),
    /// The caller's body did not come within `read_timeout`.
    Stalled,
    /// The caller's body broke off.
    CallerGone,
    /// The process cannot be reached, hung up, or speaks no HTTP.
    Upstream(String),
    /// The body could not be kept.
    Spool(io::Error),
}

/// What ends a call that takes too long: the operator's limit, or one of the caller's two.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    ExecTimeout(Duration),
    Timeout(Duration),
    Remaining(Duration),
}

impl Limit {
    pub(super) fn time(self) -> Duration {
        match self {
            Self::ExecTimeout(time) | Self::Timeout(time) | Self::Remaining(time) => time,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::ExecTimeout(_) => "exec_timeout",
            Self::Timeout(_) => "X-Timeout",
            Self::Remaining(_) => "X-Remaining-Ms",
        }
    }

    /// As it is written in a setting or a header.
    fn value(self) -> String {
        match self {
            Self::ExecTimeout(limit) | Self::Timeout(limit) => duration::format(limit),
            Self::Remaining(left) => left.as_millis().to_string(),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name(), self.value())
    }
}

impl Fault {
    /// What became of forwarding a call that `limit` would have ended, or else the time `left` by the caller.
    pub(super) fn of(failure: Failure, limit: Option<Limit>, left: Option<Limit>) -> Self {
        match failure {
            Failure::TimedOut(time) => Self::TimedOut(limit.unwrap_or(Limit::ExecTimeout(time))),
            Failure::NoTimeLeft(time) => Self::TimedOut(left.unwrap_or(Limit::Remaining(time))),
            Failure::CallerSilent => Self::Stalled,
            Failure::CallerGone => Self::CallerGone,
            other => Self::Upstream(other.to_string()),
        }
    }
}

impl Fault {
    /// The only place where such a failure becomes a number. The caller reads no words, only who failed; but for a limit
    /// that was hit, since the callers who set one cannot know which of them it was.
    pub(super) fn answer(self, config: &Config) -> Response {
        let error = match self {
            Self::TimedOut(limit) => {
                // Compat: operators search for these words.
                let (name, value) = (limit.name(), limit.value());
                log!("Upstream HTTP killed due to {name}: {value}");
                return late(&format!("no answer within {limit}"));
            }
            Self::CallerGone => return answer::closing(failed(StatusCode::BAD_REQUEST)),
            Self::Stalled => {
                let limit = config.read_timeout;
                log!("Upstream HTTP request error: the request body stalled");
                let words = format!("no whole request body within read_timeout={limit}");
                return answer::closing(late(&words));
            }
            Self::Upstream(words) => words,
            Self::Spool(error) => {
                let directory = config.temporary_directory.display();
                let error = go_text::error(&error);
                format!("a body over 1 MiB could not be kept in {directory}: {error}")
            }
        };
        log!("Upstream HTTP request error: {error}");
        // Compat: 500 where other hops say 502; callers and queues know it.
        failed(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

fn late(words: &str) -> Response {
    answer::fault(StatusCode::GATEWAY_TIMEOUT, words)
}

fn failed(status: StatusCode) -> Response {
    answer::from_hop(answer::empty(status), "of-watchdog")
}
