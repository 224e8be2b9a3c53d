//! A call that waits to be made, and the answer it got.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::InvocationId;

/// A header of the caller's or of the function's, in bytes as it came.
pub type Header = (String, Vec<u8>);

/// Everything that it takes to make a call later on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedCall {
    /// Its name.
    pub id: InvocationId,
    /// The caller's name for it, or for the chain of calls that it is part of; not unique.
    pub call_id: String,
    /// The queue it waits in.
    pub queue: String,
    /// `name.namespace`.
    pub function: String,
    /// The function as the caller wrote it, perhaps without a namespace.
    pub called: String,
    /// POST, PUT or PATCH.
    pub method: String,
    /// The host that the caller asked.
    pub host: String,
    /// The path that the function sees, percent-encoding untouched; begins with a slash.
    pub path: String,
    /// The query, without `?`, percent-encoding untouched.
    pub query: Option<String>,
    /// The caller's headers, without those of its connection.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Bytes,
    /// Where the answer is to be posted.
    pub callback_url: Option<String>,
    /// Whether the answer is to be kept for whoever asks.
    pub keep_result: bool,
    /// When it was accepted, in milliseconds since 1970.
    pub accepted_ms: u64,
    /// The function's annotations about retries and queues, as they were then: what was promised stays promised.
    pub annotations: BTreeMap<String, String>,
}

/// What came of a call in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status; one of ours (499, 503, 504) where no answer came.
    pub status: u16,
    /// The answer's headers, without those of its connection.
    pub headers: Vec<Header>,
    /// The answer's body, or its beginning.
    pub body: Bytes,
    /// Whether the body was longer than is kept.
    pub truncated: bool,
}

impl Answer {
    /// An answer of ours where the function gave none.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }
}

/// An answer to be posted to a callback URL: durable work of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// The call that was answered.
    pub id: InvocationId,
    /// The caller's name for it.
    pub call_id: String,
    /// The function as the caller wrote it.
    pub function: String,
    /// Where to.
    pub url: String,
    /// How long the call took, from taking it off the queue to the answer's end, in microseconds.
    pub took_micros: u64,
    /// Retries made, and the limit in force; `None` where nothing was called.
    pub retries: Option<(u32, u32)>,
    /// What is posted.
    pub answer: Answer,
}
