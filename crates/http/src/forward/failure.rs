//! Why a call got no answer.

use std::time::Duration;

use http::StatusCode;

use super::Upstream;
use super::body::Fared;
use super::lost::Lost;

/// Why a call got no answer from upstream.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There was nobody to forward to.
    #[error("there is no upstream")]
    NoUpstream,
    /// Nobody could be reached; nothing was sent.
    #[error("{authority} cannot be reached: {reason}")]
    Unreachable {
        /// Who was tried last.
        authority: String,
        /// The system's words.
        reason: String,
    },
    /// The connection broke, or what came was no HTTP, before the answer began. The call may have run.
    #[error("{authority} gave no answer: {reason}")]
    Broken {
        /// Who was asked.
        authority: String,
        /// The library's words.
        reason: String,
    },
    /// The answer did not begin in time.
    #[error("no answer within {}", crate::duration::format(*.0))]
    TimedOut(Duration),
    /// The answer did not begin in the time that the caller gave with `X-Remaining-Ms`.
    #[error("no answer within the {}ms that were left", .0.as_millis())]
    NoTimeLeft(Duration),
    /// The caller stopped sending its body.
    #[error("the request body stalled")]
    CallerSilent,
    /// The caller hung up in the middle of its body.
    #[error("the caller hung up")]
    CallerGone,
    /// The path cannot be sent on.
    #[error("`{0}` is no request path")]
    BadTarget(String),
}

impl Failure {
    /// The only place where a failure to forward becomes a number.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoUpstream => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unreachable { .. } | Self::Broken { .. } => StatusCode::BAD_GATEWAY,
            Self::TimedOut(_) | Self::NoTimeLeft(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::CallerSilent => StatusCode::REQUEST_TIMEOUT,
            Self::CallerGone | Self::BadTarget(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// What the caller reads: which limit was hit, and no address of ours.
    #[must_use]
    pub fn to_caller(&self, limit_name: &str) -> String {
        match self {
            Self::TimedOut(limit) => format!(
                "no answer within {limit_name}={}",
                crate::duration::format(*limit)
            ),
            Self::NoTimeLeft(left) => {
                format!("no answer within X-Remaining-Ms={}", left.as_millis())
            }
            Self::Unreachable { .. } => "no replica can be reached".to_owned(),
            Self::Broken { .. } => "the replica broke off before it answered".to_owned(),
            other => other.to_string(),
        }
    }
}

/// Puts a name to a try that came to nothing.
pub(super) fn failure(lost: &Lost, upstream: &Upstream, fared: Fared) -> Failure {
    let authority = upstream.authority().to_string();
    let reason = lost.reason();
    match fared {
        Fared::CallerSilent => Failure::CallerSilent,
        Fared::CallerGone => Failure::CallerGone,
        Fared::Untouched | Fared::Sent if lost.is_connect() => {
            Failure::Unreachable { authority, reason }
        }
        Fared::Untouched | Fared::Sent => Failure::Broken { authority, reason },
    }
}
