//! What happens to calls, each step a change of the tables.

use std::time::Duration;

use bytes::Bytes;
use redb::ReadableTable;

use super::Limits;
use super::record::Failed;
use super::sweep::{Forgotten, forget_later};
use super::writer::Batch;
use crate::clock::millis;
use crate::queue::{Accepted, NewCall, State};
use crate::record::Record;
use crate::settlement::Verdict;
use crate::work::{Form, Held, Receipt, Settlement, Stored, Taken};
use crate::{Answer, Callback, Error, InvocationId, format};

/// The status of a call that its caller cancelled.
const CANCELLED: u16 = 499;

pub(super) const ACCEPTED: &str = "accepted";
pub(super) const SUCCEEDED: &str = "succeeded";
pub(super) const FAILED: &str = "failed";
pub(super) const DEAD: &str = "dead";
pub(super) const CANCELLED_COUNT: &str = "cancelled";

/// Stores a call, or finds that it is stored.
pub(super) fn accept(
    batch: &mut Batch<'_, '_>,
    new: &NewCall,
    envelope: &[u8],
    limits: &Limits,
) -> Result<Accepted, Failed> {
    if let Some(key) = &new.idempotency
        && let Some(first) = batch.tables.keys.get(key.as_slice())?
    {
        let id = InvocationId::from_u128(first.value());
        return Ok(Accepted {
            id,
            duplicate: true,
        });
    }
    let (call, id) = (&new.call, new.call.id.to_u128());
    let all = redb::ReadableTableMetadata::len(&batch.tables.ready)?;
    if all >= limits.most_calls {
        return Err(Failed::Request(Error::Full(all)));
    }
    let of_function = batch.tables.waiting_of(&call.function)?;
    if of_function >= limits.most_calls_of_a_function {
        return Err(Failed::Request(Error::FunctionFull(of_function)));
    }
    let due_ms = batch.now_ms.saturating_add(millis(new.delay));
    let first_due_ms = call.accepted_ms.saturating_add(millis(new.delay));
    let record = Record {
        called: call.called.clone(),
        call_id: call.call_id.clone(),
        first_due_ms,
        callback_url: call.callback_url.clone(),
        keep_result: call.keep_result,
        ..Record::queued(&call.function, &call.queue, call.accepted_ms, due_ms)
    };
    batch.tables.put_record(id, &record)?;
    batch.tables.envelopes.insert(id, envelope)?;
    batch.tables.put_ready(&call.function, due_ms, id)?;
    batch.tables.count(ACCEPTED)?;
    if let Some(key) = &new.idempotency {
        batch.tables.keys.insert(key.as_slice(), id)?;
        forget_later(batch, limits.key_window, Forgotten::Key, key)?;
    }
    Ok(Accepted {
        id: call.id,
        duplicate: false,
    })
}

/// Takes due calls of one function, those first that have been due for longest.
pub(super) fn take(
    batch: &mut Batch<'_, '_>,
    function: &str,
    most: usize,
    lease: Duration,
) -> Result<Vec<Taken>, Failed> {
    let due = (function, 0, 0)..=(function, batch.now_ms, u128::MAX);
    let mut found = Vec::new();
    for entry in batch.tables.ready.range(due)?.take(most) {
        let (_, due_ms, call) = entry?.0.value();
        found.push((due_ms, call));
    }
    let mut taken = Vec::new();
    for (due_ms, call) in found {
        batch.tables.remove_ready(function, due_ms, call)?;
        taken.extend(begin(batch, call, lease)?);
    }
    Ok(taken)
}

/// Notes that an attempt begins.
fn begin(batch: &mut Batch<'_, '_>, call: u128, lease: Duration) -> Result<Option<Taken>, Failed> {
    let Some(mut record) = batch.tables.record(call)? else {
        return Ok(None);
    };
    record.state = State::Running;
    record.deliveries += 1;
    record.started_ms = Some(batch.now_ms);
    batch.tables.put_record(call, &record)?;
    batch.tables.running.insert(call, ())?;
    batch
        .leases
        .insert(call, batch.now_ms.saturating_add(millis(lease)));
    let envelope = batch.tables.envelopes.get(call)?;
    let envelope = envelope.map(|bytes| Bytes::copy_from_slice(bytes.value()));
    let since = |ms: u64| Duration::from_millis(batch.now_ms.saturating_sub(ms));
    Ok(Some(Taken {
        id: InvocationId::from_u128(call),
        delivery: record.deliveries,
        returns: record.returns,
        failures: record.failures,
        unreachable: record.unreachable,
        age: since(record.accepted_ms.max(record.first_due_ms)),
        waited: since(record.due_ms),
        function: record.function,
        stored: Stored(Form::Disk(envelope.unwrap_or_default())),
        receipt: Receipt(Held::Disk(InvocationId::from_u128(call))),
    }))
}

/// Puts a call that runs back among those that wait.
fn put_back(
    batch: &mut Batch<'_, '_>,
    call: u128,
    mut record: Record,
    after: Duration,
) -> Result<(), Failed> {
    batch.tables.running.remove(call)?;
    batch.leases.remove(&call);
    if record.cancelled {
        return end(batch, call, record, &Ending::cancelled());
    }
    record.state = State::Queued;
    record.due_ms = batch.now_ms.saturating_add(millis(after));
    batch
        .tables
        .put_ready(&record.function, record.due_ms, call)?;
    batch.tables.put_record(call, &record)
}

/// Takes the call back whose holder is gone.
pub(super) fn lose(batch: &mut Batch<'_, '_>, call: u128) -> Result<(), Failed> {
    match batch.tables.record(call)? {
        Some(record) if record.state == State::Running => {
            put_back(batch, call, record, Duration::ZERO)
        }
        _ => {
            batch.tables.running.remove(call)?;
            batch.leases.remove(&call);
            Ok(())
        }
    }
}

/// Gives back a call that was taken and not begun.
pub(super) fn release(batch: &mut Batch<'_, '_>, call: u128, delivery: u32) -> Result<(), Failed> {
    let Some(mut record) = held(batch, call, delivery)? else {
        return Ok(());
    };
    record.deliveries -= 1;
    put_back(batch, call, record, Duration::ZERO)
}

/// The record of a call that is still this holder's.
fn held(batch: &Batch<'_, '_>, call: u128, delivery: u32) -> Result<Option<Record>, Failed> {
    let record = batch.tables.record(call)?;
    Ok(record.filter(|record| record.state == State::Running && record.deliveries == delivery))
}

/// Settles an attempt. An end is an end, also from a holder whose lease has ended; going back to the queue is only for the
/// one who holds the call.
pub(super) fn settle(
    batch: &mut Batch<'_, '_>,
    call: u128,
    delivery: u32,
    settlement: &Settlement,
    limits: &Limits,
) -> Result<bool, Failed> {
    let verdict = settlement.verdict;
    if let Verdict::Retry { after, counts } = verdict {
        let Some(mut record) = held(batch, call, delivery)? else {
            return Ok(false);
        };
        record.note_return(settlement.status, counts);
        put_back(batch, call, record, after)?;
        return Ok(true);
    }
    let Some(mut record) = batch.tables.record(call)? else {
        return Ok(false);
    };
    if record.state.is_final() {
        return Ok(false);
    }
    batch
        .tables
        .remove_ready(&record.function, record.due_ms, call)?;
    batch.tables.running.remove(call)?;
    batch.leases.remove(&call);
    let retries = record.note_end(settlement);
    let ending = Ending {
        verdict,
        answer: settlement.answer.clone(),
        status: settlement.status,
        took: settlement.took,
        retries: Some(retries),
        keep_for: limits.result_ttl,
    };
    end(batch, call, record, &ending)?;
    Ok(true)
}

/// Cancels a call. Whether it was waiting (and has ended now) or running (and is to be aborted).
pub(super) fn cancel(batch: &mut Batch<'_, '_>, call: u128) -> Result<Option<State>, Failed> {
    let Some(mut record) = batch.tables.record(call)? else {
        return Ok(None);
    };
    let state = record.state;
    match state {
        State::Queued => {
            batch
                .tables
                .remove_ready(&record.function, record.due_ms, call)?;
            end(batch, call, record, &Ending::cancelled())?;
        }
        State::Running => {
            record.cancelled = true;
            batch.tables.put_record(call, &record)?;
        }
        _ => return Ok(None),
    }
    Ok(Some(state))
}

/// How a call ends.
struct Ending {
    verdict: Verdict,
    answer: Option<Answer>,
    status: Option<u16>,
    took: Duration,
    retries: Option<(u32, u32)>,
    keep_for: Duration,
}

impl Ending {
    /// Cancelled while nobody made it.
    fn cancelled() -> Self {
        Self {
            verdict: Verdict::Cancelled,
            answer: Some(Answer::of_status(CANCELLED)),
            status: None,
            took: Duration::ZERO,
            retries: None,
            keep_for: super::RESULT_TTL,
        }
    }
}

/// Writes a call's end, and what follows from it: the kept answer, the callback, the dead letter.
fn end(
    batch: &mut Batch<'_, '_>,
    call: u128,
    mut record: Record,
    ending: &Ending,
) -> Result<(), Failed> {
    let (state, count) = match ending.verdict {
        Verdict::Dead(_) => (State::Dead, DEAD),
        Verdict::Cancelled => (State::Cancelled, CANCELLED_COUNT),
        Verdict::Failed => (State::Failed, FAILED),
        Verdict::Succeeded | Verdict::Retry { .. } => (State::Succeeded, SUCCEEDED),
    };
    record.state = state;
    record.ended_ms = Some(batch.now_ms);
    record.last_status = ending.status.or(record.last_status);
    if let (Some(answer), true) = (&ending.answer, record.keep_result) {
        let kept = format::encode_answer(answer).to_bytes();
        batch.tables.results.insert(call, kept.as_slice())?;
    }
    if let (Some(answer), Some(url)) = (&ending.answer, &record.callback_url) {
        let callback = Callback {
            id: InvocationId::from_u128(call),
            call_id: record.call_id.clone(),
            function: record.called.clone(),
            url: url.clone(),
            took_micros: u64::try_from(ending.took.as_micros()).unwrap_or(u64::MAX),
            retries: ending.retries,
            answer: answer.clone(),
        };
        let stored = format::encode_callback(&callback).to_bytes();
        batch.tables.callbacks.insert(call, stored.as_slice())?;
        batch
            .tables
            .callbacks_ready
            .insert((batch.now_ms, call), 0)?;
    }
    if let Verdict::Dead(reason) = ending.verdict {
        record.reason = Some(reason.to_string());
        batch.tables.dead.insert(call, ())?;
        forget_later(batch, super::DEAD_TTL, Forgotten::Dead, &call.to_be_bytes())?;
        // Its status is known as long as the dead letter; a kept answer is not.
        forget_later(
            batch,
            ending.keep_for,
            Forgotten::Result,
            &call.to_be_bytes(),
        )?;
    } else {
        batch.tables.envelopes.remove(call)?;
        forget_later(batch, ending.keep_for, Forgotten::Call, &call.to_be_bytes())?;
    }
    batch.tables.count(count)?;
    batch.tables.put_record(call, &record)
}
