//! Dead letters: listed from a snapshot, put back or dropped by a change.

use bytes::Bytes;
use redb::{ReadableTable, ReadableTableMetadata};

use super::Limits;
use super::calls;
use super::record::Failed;
use super::tables::{CALLBACKS, CALLBACKS_DEAD, CALLBACKS_READY, CALLS, DEAD, ENVELOPES, Snapshot};
use super::writer::Batch;
use crate::queue::{DeadContent, DeadFilter, DeadLetter, NewCall};
use crate::record::Record;
use crate::{DeadId, Envelope, Error, InvocationId, Reason, format};

impl Snapshot {
    pub(super) fn dead_letters(&self, filter: &DeadFilter) -> Result<Vec<DeadLetter>, redb::Error> {
        let mut found = Vec::new();
        let first = match filter.after {
            Some(DeadId::Call(id)) => Some(id.to_u128().saturating_add(1)),
            Some(DeadId::Callback(_)) => None,
            None => Some(0),
        };
        if let Some(first) = first {
            let (dead, calls) = (self.0.open_table(DEAD)?, self.0.open_table(CALLS)?);
            for entry in dead.range(first..)? {
                let id = entry?.0.value();
                let letter = calls.get(id)?.and_then(|bytes| of_call(id, bytes.value()));
                found.extend(letter.filter(|letter| wanted(letter, filter)));
                if found.len() >= filter.most {
                    return Ok(found);
                }
            }
        }
        let first = match filter.after {
            Some(DeadId::Callback(id)) => id.to_u128().saturating_add(1),
            _ => 0,
        };
        let (dead, callbacks) = (
            self.0.open_table(CALLBACKS_DEAD)?,
            self.0.open_table(CALLBACKS)?,
        );
        for entry in dead.range(first..)? {
            let (id, at) = entry?;
            let (id, at) = (id.value(), at.value());
            let letter = callbacks
                .get(id)?
                .map(|bytes| of_callback(id, at, bytes.value()));
            found.extend(letter.filter(|letter| wanted(letter, filter)));
            if found.len() >= filter.most {
                break;
            }
        }
        Ok(found)
    }

    pub(super) fn dead_letter(
        &self,
        id: DeadId,
    ) -> Result<Option<(DeadLetter, DeadContent)>, redb::Error> {
        match id {
            DeadId::Call(call) => {
                let call = call.to_u128();
                if self.0.open_table(DEAD)?.get(call)?.is_none() {
                    return Ok(None);
                }
                let record = self.0.open_table(CALLS)?.get(call)?;
                let letter = record.and_then(|bytes| of_call(call, bytes.value()));
                let envelope = self.0.open_table(ENVELOPES)?.get(call)?;
                let envelope = envelope.map(|bytes| Bytes::copy_from_slice(bytes.value()));
                Ok(letter.map(|letter| (letter, call_of(envelope.unwrap_or_default()))))
            }
            DeadId::Callback(call) => {
                let call = call.to_u128();
                let at = self
                    .0
                    .open_table(CALLBACKS_DEAD)?
                    .get(call)?
                    .map(|at| at.value());
                let stored = self.0.open_table(CALLBACKS)?.get(call)?;
                let stored = stored.map(|bytes| Bytes::copy_from_slice(bytes.value()));
                Ok(at.zip(stored).map(|(at, stored)| {
                    let letter = of_callback(call, at, &stored);
                    (letter, callback_of(&stored))
                }))
            }
        }
    }

    pub(super) fn callbacks_due(&self, now_ms: u64) -> Result<bool, redb::Error> {
        let ready = self.0.open_table(CALLBACKS_READY)?;
        let first = ready.first()?;
        Ok(first.is_some_and(|(key, _)| key.value().0 <= now_ms))
    }

    pub(super) fn count_callbacks(&self) -> Result<u64, redb::Error> {
        let all = self.0.open_table(CALLBACKS)?.len()?;
        let dead = self.0.open_table(CALLBACKS_DEAD)?.len()?;
        Ok(all.saturating_sub(dead))
    }
}

fn call_of(envelope: Bytes) -> DeadContent {
    let call = Envelope::from_bytes(&envelope).and_then(|envelope| format::decode_call(&envelope));
    match call {
        Ok(call) => DeadContent::Call(Box::new(call)),
        Err(error) => DeadContent::Unreadable(error.to_string()),
    }
}

fn callback_of(stored: &Bytes) -> DeadContent {
    let read = Envelope::from_bytes(stored).and_then(|envelope| format::decode_callback(&envelope));
    match read {
        Ok(callback) => DeadContent::Callback(Box::new(callback)),
        Err(error) => DeadContent::Unreadable(error.to_string()),
    }
}

fn of_call(id: u128, record: &[u8]) -> Option<DeadLetter> {
    let record = Record::read(record).ok()?;
    Some(DeadLetter {
        id: DeadId::Call(InvocationId::from_u128(id)),
        function: record.function,
        call_id: record.call_id,
        reason: record.reason.unwrap_or_default(),
        dead_ms: record.ended_ms.unwrap_or_default(),
        failures: record.failures,
        last_status: record.last_status,
    })
}

fn of_callback(id: u128, dead_ms: u64, stored: &[u8]) -> DeadLetter {
    let envelope = Envelope::from_bytes(&Bytes::copy_from_slice(stored)).unwrap_or_default();
    let callback = format::decode_callback(&envelope).ok();
    let text = |of: fn(&crate::Callback) -> &String| callback.as_ref().map(of).cloned();
    DeadLetter {
        id: DeadId::Callback(InvocationId::from_u128(id)),
        function: text(|callback| &callback.function).unwrap_or_default(),
        call_id: text(|callback| &callback.call_id).unwrap_or_default(),
        reason: Reason::CallbackFailed.to_string(),
        dead_ms,
        failures: 0,
        last_status: callback.map(|callback| callback.answer.status),
    }
}

fn wanted(letter: &DeadLetter, filter: &DeadFilter) -> bool {
    let is = |wish: &Option<String>, value: &str| wish.as_deref().is_none_or(|wish| wish == value);
    is(&filter.function, &letter.function) && is(&filter.reason, &letter.reason)
}

/// Puts a dead letter back: a call as a new one, a callback as it is.
pub(super) fn redrive(
    batch: &mut Batch<'_, '_>,
    id: DeadId,
    limits: &Limits,
) -> Result<Option<InvocationId>, Failed> {
    let call = match id {
        DeadId::Call(call) => call,
        DeadId::Callback(call) => {
            if batch
                .tables
                .callbacks_dead
                .remove(call.to_u128())?
                .is_none()
            {
                return Ok(None);
            }
            batch
                .tables
                .callbacks_ready
                .insert((batch.now_ms, call.to_u128()), 0)?;
            return Ok(Some(call));
        }
    };
    if batch.tables.dead.get(call.to_u128())?.is_none() {
        return Ok(None);
    }
    let envelope = batch.tables.envelopes.get(call.to_u128())?;
    let envelope = envelope.map(|bytes| Bytes::copy_from_slice(bytes.value()));
    let mut again = format::decode_call(&Envelope::from_bytes(&envelope.unwrap_or_default())?)?;
    again.id = InvocationId::new();
    again.accepted_ms = batch.now_ms;
    let envelope = format::encode_call(&again).to_bytes();
    let new = NewCall {
        call: again,
        delay: std::time::Duration::ZERO,
        idempotency: None,
    };
    let accepted = calls::accept(batch, &new, &envelope, limits)?;
    purge(batch, id)?;
    Ok(Some(accepted.id))
}

/// Drops a dead letter; the call's status stays a while.
pub(super) fn purge(batch: &mut Batch<'_, '_>, id: DeadId) -> Result<bool, Failed> {
    match id {
        DeadId::Call(call) => {
            let call = call.to_u128();
            let was_there = batch.tables.dead.remove(call)?.is_some();
            if was_there {
                batch.tables.envelopes.remove(call)?;
            }
            Ok(was_there)
        }
        DeadId::Callback(call) => {
            let call = call.to_u128();
            let was_there = batch.tables.callbacks_dead.remove(call)?.is_some();
            if was_there {
                batch.tables.callbacks.remove(call)?;
            }
            Ok(was_there)
        }
    }
}

impl From<redb::Error> for Error {
    fn from(error: redb::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}
