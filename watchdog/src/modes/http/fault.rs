//! Why the process gave no answer, and what the caller sees then.

use std::io;

use ::http::StatusCode;
use faas_http::forward::Failure;

use crate::answer::{self, Response};
use crate::config::Config;
use crate::go_text;

/// Why the process gave no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// `exec_timeout`, `X-Timeout` or `X-Remaining-Ms` passed.
    TimedOut,
    /// The caller's body did not come within `read_timeout`.
    Stalled,
    /// The caller's body broke off.
    CallerGone,
    /// The process cannot be reached, hung up, or speaks no HTTP.
    Upstream(String),
    /// The body could not be kept.
    Spool(io::Error),
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::TimedOut(_) | Failure::NoTimeLeft(_) => Self::TimedOut,
            Failure::CallerSilent => Self::Stalled,
            Failure::CallerGone => Self::CallerGone,
            other => Self::Upstream(other.to_string()),
        }
    }
}

impl Fault {
    /// The only place where such a failure becomes a number. The caller reads no words, only who failed.
    pub(super) fn answer(self, config: &Config) -> Response {
        let error = match self {
            Self::TimedOut => {
                let limit = config.exec_timeout;
                log!("Upstream HTTP killed due to exec_timeout: {limit}");
                return failed(StatusCode::GATEWAY_TIMEOUT);
            }
            Self::CallerGone => return answer::closing(failed(StatusCode::BAD_REQUEST)),
            Self::Stalled => {
                log!("Upstream HTTP request error: the request body stalled");
                return answer::closing(failed(StatusCode::GATEWAY_TIMEOUT));
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

fn failed(status: StatusCode) -> Response {
    answer::from_hop(answer::empty(status), "of-watchdog")
}
