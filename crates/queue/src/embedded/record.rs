//! What the store keeps of a call beside the call itself: small, and written anew whenever something happens to it.

use redb::{ReadableTable, StorageError};
use serde::{Deserialize, Serialize};

use super::tables::Tables;
use crate::queue::{CallStatus, State};
use crate::{Error, FormatError, InvocationId, VERSION};

/// One call's record. Fields that came later have a default, so that older records are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) v: u32,
    pub(super) state: State,
    pub(super) function: String,
    #[serde(default)]
    pub(super) called: String,
    pub(super) queue: String,
    pub(super) call_id: String,
    pub(super) accepted_ms: u64,
    pub(super) due_ms: u64,
    /// When it might be made for the first time: later than its acceptance where it was put off.
    #[serde(default)]
    pub(super) first_due_ms: u64,
    #[serde(default)]
    pub(super) failures: u32,
    #[serde(default)]
    pub(super) unreachable: u32,
    #[serde(default)]
    pub(super) deliveries: u32,
    #[serde(default)]
    pub(super) returns: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) started_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ended_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) callback_url: Option<String>,
    #[serde(default)]
    pub(super) keep_result: bool,
    /// Whether it was cancelled while it ran.
    #[serde(default)]
    pub(super) cancelled: bool,
}

impl Record {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, FormatError> {
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        let Version { v } = serde_json::from_slice(bytes).map_err(FormatError::garbage)?;
        if v > VERSION {
            return Err(FormatError::Newer(v));
        }
        serde_json::from_slice(bytes).map_err(FormatError::garbage)
    }

    pub(super) fn status(self, id: InvocationId) -> CallStatus {
        CallStatus {
            id,
            call_id: self.call_id,
            function: self.function,
            queue: self.queue,
            state: self.state,
            failures: self.failures,
            deliveries: self.deliveries,
            accepted_ms: self.accepted_ms,
            due_ms: self.due_ms,
            started_ms: self.started_ms,
            ended_ms: self.ended_ms,
            last_status: self.last_status,
            reason: self.reason,
            keeps_result: self.keep_result,
        }
    }
}

/// What goes wrong in a transaction.
#[derive(Debug)]
pub(super) enum Failed {
    /// The store itself: nothing of the transaction stays.
    Store(StorageError),
    /// This one request: nothing of it was written.
    Request(Error),
}

impl From<StorageError> for Failed {
    fn from(error: StorageError) -> Self {
        Self::Store(error)
    }
}

impl From<FormatError> for Failed {
    fn from(error: FormatError) -> Self {
        Self::Request(error.into())
    }
}

impl Tables<'_> {
    pub(super) fn record(&self, call: u128) -> Result<Option<Record>, Failed> {
        let bytes = self.calls.get(call)?;
        Ok(bytes.map(|bytes| Record::read(bytes.value())).transpose()?)
    }

    pub(super) fn put_record(&mut self, call: u128, record: &Record) -> Result<(), Failed> {
        // Text and numbers: there is nothing in it that JSON cannot hold.
        let text = serde_json::to_vec(record).map_err(FormatError::garbage)?;
        self.calls.insert(call, text.as_slice())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_the_first_program_are_read_and_newer_ones_refused() {
        let first = r#"{"v":2,"state":"queued","function":"f.dev","queue":"q","call_id":"c","accepted_ms":1,"due_ms":2}"#;
        let record = Record::read(first.as_bytes()).unwrap();
        assert_eq!((record.state, record.failures), (State::Queued, 0));
        let newer = first.replace("\"v\":2", "\"v\":3");
        assert_eq!(Record::read(newer.as_bytes()), Err(FormatError::Newer(3)));
        assert!(Record::read(b"{}").is_err());
    }
}
