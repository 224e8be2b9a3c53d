//! What a store keeps of a call beside the call itself: small, and written anew whenever something happens to it.

use serde::{Deserialize, Serialize};

use crate::queue::{CallStatus, State};
use crate::{Counts, FormatError, InvocationId, Settlement, VERSION, Verdict};

/// One call's record. Fields that came later have a default, so that older records are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) v: u32,
    pub(crate) state: State,
    pub(crate) function: String,
    #[serde(default)]
    pub(crate) called: String,
    pub(crate) queue: String,
    pub(crate) call_id: String,
    pub(crate) accepted_ms: u64,
    pub(crate) due_ms: u64,
    /// When it might be made for the first time: later than its acceptance where it was put off.
    #[serde(default)]
    pub(crate) first_due_ms: u64,
    #[serde(default)]
    pub(crate) failures: u32,
    #[serde(default)]
    pub(crate) unreachable: u32,
    #[serde(default)]
    pub(crate) deliveries: u32,
    #[serde(default)]
    pub(crate) returns: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) started_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) callback_url: Option<String>,
    #[serde(default)]
    pub(crate) keep_result: bool,
    /// Whether it was cancelled while it ran.
    #[serde(default)]
    pub(crate) cancelled: bool,
}

impl Record {
    /// Of a call that nobody has taken yet.
    pub(crate) fn queued(function: &str, queue: &str, accepted_ms: u64, due_ms: u64) -> Self {
        Self {
            v: VERSION,
            state: State::Queued,
            function: function.to_owned(),
            called: String::new(),
            queue: queue.to_owned(),
            call_id: String::new(),
            accepted_ms,
            due_ms,
            first_due_ms: due_ms,
            failures: 0,
            unreachable: 0,
            deliveries: 0,
            returns: 0,
            started_ms: None,
            ended_ms: None,
            last_status: None,
            reason: None,
            callback_url: None,
            keep_result: false,
            cancelled: false,
        }
    }

    /// Notes an attempt after which the call is to be made again.
    pub(crate) fn note_return(&mut self, status: Option<u16>, counts: Counts) {
        self.returns += 1;
        self.last_status = status.or(self.last_status);
        self.unreachable = match counts {
            Counts::Unreachable => self.unreachable + 1,
            Counts::Failure | Counts::Nothing => 0,
        };
        self.failures += u32::from(counts == Counts::Failure);
    }

    /// Notes the last attempt. The retries that were made, and the most that might have been.
    pub(crate) fn note_end(&mut self, settlement: &Settlement) -> (u32, u32) {
        let made = self.failures.min(settlement.max_retries);
        let failed = matches!(settlement.verdict, Verdict::Dead(_) | Verdict::Failed);
        self.failures += u32::from(failed && settlement.status.is_some());
        (made, settlement.max_retries)
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, FormatError> {
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

    pub(crate) fn status(self, id: InvocationId) -> CallStatus {
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

    pub(crate) fn write(&self) -> Result<Vec<u8>, FormatError> {
        // Text and numbers: there is nothing in it that JSON cannot hold.
        serde_json::to_vec(self).map_err(FormatError::garbage)
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
