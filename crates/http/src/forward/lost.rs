//! One try that came to nothing.

use std::error::Error;

use http::{Method, Request};
use hyper::client::conn::TrySendError;
use hyper_util::client::legacy::Error as ClientError;

use super::body::Lent;
use super::connect::Served;

/// Why an upstream gave no answer.
#[derive(Debug)]
pub(super) enum Lost {
    /// No connection could be had; nothing was sent.
    Unreachable(Box<dyn Error + Send + Sync>),
    /// The call's own connection broke.
    Call {
        error: hyper::Error,
        /// Nothing of the call was sent.
        unsent: bool,
        /// The connection had served a call before.
        served: bool,
    },
    /// A connection that calls share broke, or could not be had.
    Shared(ClientError),
}

impl Lost {
    /// The end of a connection that may have `served` a call before.
    pub(super) fn call(error: TrySendError<Request<Lent>>, served: bool) -> Self {
        let unsent = error.message().is_some();
        Self::Call {
            error: error.into_error(),
            unsent,
            served,
        }
    }

    /// Whether no connection could be had.
    pub(super) fn is_connect(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Call { .. } => false,
            Self::Shared(error) => error.is_connect(),
        }
    }

    /// Whether it was an idle connection that had been closed meanwhile, and the call may be made anew (RFC 9112, section
    /// 9.3.1): where it was sent, only what is safe to repeat.
    pub(super) fn is_stale(&self, method: &Method) -> bool {
        match self {
            Self::Unreachable(_) => false,
            Self::Call { unsent, served, .. } => *served && (*unsent || method.is_safe()),
            Self::Shared(error) => method.is_safe() && Served::before(error.connect_info()),
        }
    }

    /// Whether the upstream promises that nothing of the call was done (RFC 9113, section 8.7).
    pub(super) fn is_refusal(&self) -> bool {
        causes(self.error()).any(|error| {
            error.downcast_ref::<h2::Error>().is_some_and(|error| {
                let refused =
                    error.reason() == Some(h2::Reason::REFUSED_STREAM) && error.is_reset();
                let going = error.reason() == Some(h2::Reason::NO_ERROR) && error.is_go_away();
                error.is_remote() && (refused || going)
            })
        })
    }

    /// The last of its causes, which is the one that says something (`connection refused`).
    pub(super) fn reason(&self) -> String {
        causes(self.error())
            .last()
            .map_or_else(String::new, ToString::to_string)
    }

    /// What went wrong.
    pub(super) fn error(&self) -> &(dyn Error + 'static) {
        match self {
            Self::Unreachable(error) => error.as_ref(),
            Self::Call { error, .. } => error,
            Self::Shared(error) => error,
        }
    }
}

/// An error and what is behind it.
fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> + use<'a> {
    std::iter::successors(Some(error), |error| (**error).source())
}
