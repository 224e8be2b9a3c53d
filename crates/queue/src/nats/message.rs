//! Calls as messages: ours, and the original's.

use sha2::{Digest, Sha256};

use super::bodies::BYTES;
use super::names::Names;
use super::store::Kept;
use crate::record::Record;
use crate::{Envelope, FormatError, InvocationId, QueuedCall, format};

/// The random part of a call's id.
pub(super) const ID: &str = "OF-Id";
/// The whole id, where the message is not at the place that the id tells.
pub(super) const PLACE: &str = "OF-Place";
/// When a call may be made, in milliseconds since 1970.
pub(super) const DUE: &str = "OF-Due";
/// What is known of a call.
pub(super) const RECORD: &str = "OF-Record";
const NANOS_PER_MILLI: u64 = 1_000_000;

/// A call in a stream.
#[derive(Debug)]
pub(crate) struct Message {
    pub(super) id: InvocationId,
    /// Its place in the stream.
    pub(super) sequence: u64,
    /// `name.namespace`.
    pub(super) function: String,
    /// When it was stored, by the server's clock.
    pub(super) at_ms: u64,
    pub(super) envelope: Envelope,
}

impl Message {
    pub(super) fn of(kept: Kept, names: &Names, delayed: bool) -> Self {
        let told = kept.envelope.get("OF-Function").map(str::to_owned);
        Self {
            id: id_of(&kept, delayed),
            sequence: kept.sequence,
            function: names.function(&kept.subject).or(told).unwrap_or_default(),
            at_ms: kept.at_ms,
            envelope: kept.envelope,
        }
    }

    /// Reads it, in whichever format it is.
    pub(crate) fn call(&self) -> Result<QueuedCall, FormatError> {
        match self.envelope.version()? {
            Some(_) => Ok(QueuedCall {
                id: self.id,
                ..format::decode_call(&self.envelope)?
            }),
            None => format::decode_v1(&self.envelope.payload, self.id, self.at_ms),
        }
    }

    /// How many bytes its body has, where it is stored apart.
    pub(crate) fn apart(&self) -> Option<usize> {
        self.envelope.number(BYTES).ok().flatten()
    }

    pub(super) fn callback_url(&self) -> Option<String> {
        self.call().ok()?.callback_url
    }

    /// What is known of it before anybody took it, without reading what may be what kills workers.
    pub(super) fn record(&self, queue: &str) -> Record {
        let text = |name| self.envelope.get(name).unwrap_or_default().to_owned();
        let number = |name| self.envelope.number::<u64>(name).ok().flatten();
        let accepted = number("OF-Enqueued").map(|nanos| nanos / NANOS_PER_MILLI);
        let due_ms = number(DUE).unwrap_or(self.at_ms);
        let accepted_ms = accepted.unwrap_or(self.at_ms);
        Record {
            called: text("OF-Called"),
            call_id: text("OF-Call-Id"),
            keep_result: self.envelope.get("OF-Keep-Result").is_some(),
            ..Record::queued(&self.function, queue, accepted_ms, due_ms)
        }
    }
}

/// What a call is called that is stored so. A message that is not ours has no id that anybody knows; its own is made of
/// what it is, so that it stays the same.
fn id_of(kept: &Kept, delayed: bool) -> InvocationId {
    let read = |name| kept.envelope.get(name)?.parse().ok();
    if let Some(id) = read(PLACE) {
        return id;
    }
    let secret = read(ID).unwrap_or_else(|| {
        let mut hash = Sha256::new();
        hash.update(kept.at_ms.to_be_bytes());
        hash.update(&kept.envelope.payload);
        let digest: [u8; 32] = hash.finalize().into();
        let half = digest.first_chunk().copied().unwrap_or_default();
        InvocationId::from_u128(u128::from_be_bytes(half))
    });
    InvocationId::at(kept.sequence, delayed, secret)
}

/// Where records of a call are kept.
pub(super) fn key(id: InvocationId) -> Option<String> {
    let (place, delayed) = id.place()?;
    let kind = if delayed { 'd' } else { 'c' };
    // With all of the id: where a stream was deleted, places come again.
    Some(format!("{kind}.{place}.{id}"))
}

/// The record in an envelope.
pub(super) fn record_in(envelope: &Envelope) -> Result<Record, FormatError> {
    envelope.version()?;
    Record::read(envelope.need(RECORD)?.as_bytes())
}

/// Puts a record into an envelope.
pub(super) fn push_record(envelope: &mut Envelope, record: &Record) -> Result<(), FormatError> {
    let text = String::from_utf8(record.write()?).map_err(FormatError::garbage)?;
    envelope.push(RECORD, text);
    Ok(())
}
