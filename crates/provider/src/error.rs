//! What can go wrong behind the provider API, and what the caller reads.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName};

use crate::FunctionName;

/// Names the hop that made an error, so that a caller, a retry policy and a person know who said it.
pub const HOP_HEADER: HeaderName = HeaderName::from_static("x-openfaas-internal");

/// The hops of ours that make errors. Values of [`HOP_HEADER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// The gateway.
    Gateway,
    /// A provider, forwarding a call to a function. The original's word.
    Proxy,
    /// A provider, answering for itself.
    Provider,
}

impl Hop {
    /// The header's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Proxy => "proxy",
            Self::Provider => "provider",
        }
    }
}

/// An error as callers read it: one line of text, and the hop that says it.
#[must_use]
pub fn refusal(status: StatusCode, hop: Hop, line: &str) -> Response {
    let line: String = line
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (HOP_HEADER, hop.as_str()),
    ];
    (status, headers, format!("{line}\n")).into_response()
}

/// Everything that can go wrong behind the provider API.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// No function has this name.
    #[error("function {0} not found")]
    NotFound(FunctionName),
    /// No secret has this name.
    #[error("secret {name} not found in namespace {namespace}")]
    SecretNotFound {
        /// The secret.
        name: String,
        /// Where it was looked for.
        namespace: String,
    },
    /// No namespace has this name.
    #[error("namespace {0} not found")]
    NamespaceNotFound(String),
    /// The name is taken.
    #[error("{0} already exists")]
    AlreadyExists(String),
    /// Something still needs it.
    #[error("{0}")]
    InUse(String),
    /// The caller can mend it: the field, and what is wrong with it.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field, as the wire calls it.
        field: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A log request that cannot be read.
    #[error("{field}: {reason}")]
    InvalidLogRequest {
        /// The parameter.
        field: &'static str,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The body is larger than this route takes.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// This provider has no such thing.
    #[error("{0} are not supported by this provider")]
    Unsupported(&'static str),
    /// The function exists, but nothing can answer for it yet.
    #[error("no replica of {0} is ready")]
    NotReady(FunctionName),
    /// The provider is on its way down, or not yet up.
    #[error("{0}")]
    Unavailable(String),
    /// The system underneath failed. Its words are for the log, not the caller.
    #[error("the provider failed; its log says why")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ProviderError {
    /// A field that the caller has to mend.
    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            reason: reason.into(),
        }
    }

    /// A failure of the system underneath.
    pub fn backend(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Backend(error.into())
    }

    /// The only place where a failure becomes a number.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) | Self::SecretNotFound { .. } | Self::NamespaceNotFound(_) => {
                StatusCode::NOT_FOUND
            }
            Self::AlreadyExists(_) | Self::InUse(_) => StatusCode::CONFLICT,
            Self::Invalid { .. } => StatusCode::BAD_REQUEST,
            // Compat: clients of the log API know 422 here.
            Self::InvalidLogRequest { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unsupported(_) => StatusCode::NOT_IMPLEMENTED,
            Self::NotReady(_) | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Backend(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for ProviderError {
    fn into_response(self) -> Response {
        if let Self::Backend(error) = &self {
            tracing::error!(%error, "the system underneath failed");
        }
        refusal(self.status(), Hop::Provider, &self.to_string())
    }
}
