//! What can go wrong between us and the engine, and what the caller reads of it.

use std::time::Duration;

use faas_http::duration;
use faas_provider::ProviderError;

/// What managers say while most of them are lost, or another one is about to lead.
const LEADERLESS: [&str; 5] = [
    // What an engine says of its own patience with them, 20 s and more.
    "context deadline exceeded",
    "does not have a leader",
    "node lost leader status",
    "raft: node was stopped",
    "not yet part of a raft cluster",
];

/// Everything that can go wrong between us and the engine.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No connection.
    #[error("the Docker engine cannot be reached at {host}: {reason}")]
    Unreachable { host: String, reason: String },
    /// A connection that ended before the answer did.
    #[error("the Docker engine broke off: {0}")]
    Broken(String),
    /// No answer in time.
    #[error("the Docker engine did not answer within engine_timeout={}", duration::format(*.0))]
    TimedOut(Duration),
    /// No version of the API is common.
    #[error("{0}")]
    Version(String),
    /// An error that the engine tells.
    #[error("the Docker engine says {status}: {message}")]
    Answered { status: u16, message: String },
    /// An answer that cannot be read.
    #[error("the Docker engine's answer cannot be read: {0}")]
    Garbled(#[from] serde_json::Error),
}

impl Error {
    /// The engine's own words, without the layers that they came through.
    pub(crate) fn answered(status: u16, body: &[u8]) -> Self {
        #[derive(serde::Deserialize)]
        struct Said {
            message: String,
        }
        let message = match serde_json::from_slice::<Said>(body) {
            Ok(said) => said.message,
            Err(_) => String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned(),
        };
        let message = match message.split_once(" desc = ") {
            Some((code, words)) if code.starts_with("rpc error:") => words.to_owned(),
            _ => message,
        };
        Self::Answered {
            status,
            message: message.trim().to_owned(),
        }
    }

    /// The status that the engine told, where it told one.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the swarm has no leader, or lost it in the middle of this. The engine says 500 here.
    fn is_leaderless(&self) -> bool {
        matches!(self, Self::Answered { message, .. } if LEADERLESS.iter().any(|words| message.contains(words)))
    }

    /// Whether somebody else changed the object since it was read. The engine says 500 here, of all things.
    pub(crate) fn is_out_of_sequence(&self) -> bool {
        matches!(self, Self::Answered { message, .. } if message.contains("update out of sequence"))
    }
}

impl From<Error> for ProviderError {
    fn from(error: Error) -> Self {
        match &error {
            // "This node is not a swarm manager" is such a 503; it may be one again.
            Error::Answered { status: 503, .. }
            | Error::Unreachable { .. }
            | Error::Broken(_)
            | Error::TimedOut(_)
            | Error::Version(_) => Self::Unavailable(error.to_string()),
            _ if error.is_leaderless() => Self::Unavailable(error.to_string()),
            Error::Answered { .. } | Error::Garbled(_) => Self::backend(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_quoted_without_the_layers_between() {
        let body = br#"{"message":"rpc error: code = InvalidArgument desc = name must be valid"}"#;
        let error = Error::answered(400, body);
        assert_eq!(
            error.to_string(),
            "the Docker engine says 400: name must be valid"
        );
        let plain = Error::answered(400, b"client version 1.10 is too old\n").to_string();
        assert!(plain.ends_with("is too old"), "{plain}");
    }

    #[test]
    fn a_swarm_without_a_leader_may_have_one_again() {
        let body = br#"{"message":"rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few managers are online."}"#;
        let error = ProviderError::from(Error::answered(500, body));
        assert_eq!(error.status(), 503);
        assert!(error.to_string().contains("too few managers"), "{error}");
        let others: [&[u8]; 2] = [
            br#"{"message":"raft: failed to process the request: node lost leader status"}"#,
            br#"{"message":"rpc error: code = DeadlineExceeded desc = context deadline exceeded"}"#,
        ];
        for body in others {
            let error = ProviderError::from(Error::answered(500, body));
            assert_eq!(error.status(), 503);
        }
        assert_eq!(
            ProviderError::from(Error::answered(500, b"no")).status(),
            500
        );
    }

    #[test]
    fn only_the_swarm_s_own_state_can_be_out_of_sequence() {
        let body = br#"{"message":"rpc error: code = Unknown desc = update out of sequence"}"#;
        assert!(Error::answered(500, body).is_out_of_sequence());
        assert!(!Error::answered(500, br#"{"message":"no"}"#).is_out_of_sequence());
    }
}
