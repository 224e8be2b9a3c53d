//! What can fail, and what the caller sees.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use faas_http::forward::Failure;
use faas_http::{auth, duration};
use faas_provider::{FunctionName, Hop, client, refusal};
use faas_queue::Error as QueueError;
use faas_queue::policy::QUEUE_ANNOTATION;
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};

use crate::metrics::CALLER_GONE;

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port cannot be had.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The credentials cannot be read.
    #[error(transparent)]
    Credentials(#[from] auth::Error),
    /// A setting is wrong.
    #[error("{0}")]
    Setting(String),
}

/// Everything that keeps a caller from an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No function has this name.
    #[error("function {0} not found")]
    NotFound(FunctionName),
    /// The path names no function.
    #[error("the path names no function")]
    NoFunction,
    /// The provider cannot say whether there is such a function.
    #[error("function {name}: the provider cannot be asked: {reason}")]
    ProviderUnknown {
        /// The function.
        name: FunctionName,
        /// Why, in words.
        reason: String,
    },
    /// Nothing answers for it, and nothing is to be started for it.
    #[error("no replica of {0} is ready")]
    NotReady(FunctionName),
    /// Nothing became ready in time.
    #[error("no replica of {name} became ready within scale_from_zero_timeout={waited}")]
    StillNotReady {
        /// The function.
        name: FunctionName,
        /// The limit.
        waited: String,
    },
    /// More calls are waiting for it than may.
    #[error(
        "function {name}: scale_from_zero_queue={limit} calls are waiting for a replica already"
    )]
    QueueFull {
        /// The function.
        name: FunctionName,
        /// The limit.
        limit: usize,
    },
    /// All its replicas have as many calls as they take.
    #[error("function {name}: no replica had room for another call within {setting}={waited}")]
    Overloaded {
        /// The function.
        name: FunctionName,
        /// Which limit.
        setting: &'static str,
        /// The limit.
        waited: String,
    },
    /// It was to be scaled only if nobody used it lately.
    #[error("function {0} was called within X-If-Idle-Seconds, is called now, or nobody knows")]
    NotIdle(FunctionName),
    /// It could not be scaled up.
    #[error("function {name} could not be scaled up: {reason}")]
    ScaleFailed {
        /// The function.
        name: FunctionName,
        /// Why, in words.
        reason: String,
    },
    /// The function is called through its provider, and the provider is not there.
    #[error("function {0}: the provider cannot be reached")]
    ProviderGone(FunctionName),
    /// The replica gave no answer.
    #[error("function {name}: {}", failure.to_caller(limit_name))]
    Call {
        /// The function.
        name: FunctionName,
        /// Where the limit of its time comes from.
        limit_name: &'static str,
        /// What happened.
        failure: Failure,
    },
    /// The provider gave no answer.
    #[error("the provider {}", of_provider(.0))]
    Provider(Failure),
    /// The provider's answer is not what it should be.
    #[error("the provider's answer cannot be read: {0}")]
    ProviderGarbage(String),
    /// This method cannot be used on functions.
    #[error("functions are not called by this method")]
    Method,
    /// Not here.
    #[error("{0}")]
    Unsupported(&'static str),
    /// A header of an asynchronous call asks for what cannot be.
    #[error("{name}: {reason}")]
    Header {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The function's annotation names a queue that there is not.
    #[error("annotation {QUEUE_ANNOTATION}: no queue is called `{0}`")]
    NoQueue(String),
    /// The queue did not do what it was asked.
    #[error(transparent)]
    Queue(#[from] faas_queue::Error),
    /// Bodies of other asynchronous calls take up the memory there is for them.
    #[error("too many bodies of asynchronous calls are on their way at once")]
    BodiesFull,
    /// No asynchronous call is known by this name, or no longer.
    #[error("no call is known by the id `{0}`")]
    NoCall(String),
    /// No dead letter has this name.
    #[error("there is no dead letter `{0}`")]
    NoDeadLetter(String),
    /// The body is larger than this route takes.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// The body did not arrive in time.
    #[error("the body did not arrive within read_timeout={}", duration::format(*.0))]
    BodyLate(Duration),
    /// The body broke off.
    #[error("the body cannot be read")]
    BodyBroken,
}

impl Error {
    /// The only place where a failure becomes a number.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) | Self::NoFunction | Self::NoCall(_) | Self::NoDeadLetter(_) => {
                StatusCode::NOT_FOUND
            }
            Self::Header { .. } | Self::NoQueue(_) => StatusCode::BAD_REQUEST,
            Self::Queue(QueueError::FunctionFull(_)) => StatusCode::TOO_MANY_REQUESTS,
            Self::Queue(QueueError::TooLarge(_)) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Queue(QueueError::Format(_)) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Queue(QueueError::Full(_) | QueueError::Unavailable(_)) | Self::BodiesFull => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::ProviderUnknown { .. }
            | Self::NotReady(_)
            | Self::StillNotReady { .. }
            | Self::QueueFull { .. }
            | Self::Overloaded { .. }
            | Self::ScaleFailed { .. }
            | Self::ProviderGone(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Call { failure, .. } => failure.status(),
            // The provider is a part of us: without it we are not available, whatever it is that failed.
            Self::Provider(Failure::Unreachable { .. } | Failure::NoUpstream) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Provider(failure) => failure.status(),
            Self::ProviderGarbage(_) => StatusCode::BAD_GATEWAY,
            Self::NotIdle(_) => StatusCode::PRECONDITION_FAILED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unsupported(_) => StatusCode::NOT_IMPLEMENTED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyLate(_) => StatusCode::REQUEST_TIMEOUT,
            Self::BodyBroken => StatusCode::BAD_REQUEST,
        }
    }

    /// The code under which a call that failed so is counted: its status, unless there is nobody left to see it.
    pub(crate) fn code(&self) -> u16 {
        match self {
            Self::Call {
                failure: Failure::CallerGone,
                ..
            } => CALLER_GONE,
            error => error.status().as_u16(),
        }
    }
}

impl Error {
    /// Whether the same request may be accepted in a moment.
    fn passes(&self) -> bool {
        match self {
            Self::Queue(QueueError::Format(_) | QueueError::TooLarge(_)) => false,
            Self::Queue(_)
            | Self::BodiesFull
            | Self::QueueFull { .. }
            | Self::Overloaded { .. } => true,
            _ => false,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = refusal(self.status(), Hop::Gateway, &self.to_string());
        if self.passes() {
            let seconds = HeaderValue::from_static("1");
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        response
    }
}

/// What a caller reads of a provider that gave no answer.
fn of_provider(failure: &Failure) -> String {
    match failure {
        Failure::Unreachable { .. } | Failure::NoUpstream => "cannot be reached".to_owned(),
        Failure::Broken { .. } => "broke off before it answered".to_owned(),
        failure => format!("gave no answer: {}", failure.to_caller("upstream_timeout")),
    }
}

/// What the provider's refusal of a request of our own means to somebody who reads it: no address, no body of its.
pub(crate) fn in_words(error: &client::Error) -> String {
    match error {
        client::Error::NotFound => "it says there is none".to_owned(),
        client::Error::Refused { status, .. } => format!("it answered {}", status.as_u16()),
        client::Error::Transport(_) => "it gave no answer".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_does_not_take_a_call_is_the_platforms_fault_and_passes() {
        for (error, status, retried) in [
            (QueueError::Full(1), 503, true),
            (QueueError::FunctionFull(1), 429, true),
            (QueueError::Unavailable("no disk".into()), 503, true),
            (QueueError::TooLarge(1), 413, false),
            (
                QueueError::Format(faas_queue::FormatError::Newer(3)),
                500,
                false,
            ),
        ] {
            let response = Error::from(error).into_response();
            assert_eq!(response.status(), status);
            assert_eq!(
                response.headers().contains_key(RETRY_AFTER),
                retried,
                "{status}"
            );
        }
    }
}
