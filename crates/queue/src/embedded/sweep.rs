//! What time does: leases end, and what was kept long enough is forgotten.

use std::time::Duration;

use redb::{ReadableDatabase, ReadableTable, StorageError};

use super::calls;
use super::record::Failed;
use super::tables::EXPIRY;
use super::writer::Batch;
use crate::clock::millis;

/// Most that is forgotten at once: bounds how long others wait meanwhile.
const MOST_AT_ONCE: usize = 1000;

/// What there is to forget.
#[derive(Clone, Copy)]
pub(super) enum Forgotten {
    /// A call that has ended, with its answer.
    Call = 0,
    /// A kept answer only.
    Result = 1,
    /// A dead letter.
    Dead = 2,
    /// An idempotency key.
    Key = 3,
}

/// Notes that something is to be forgotten after a time.
pub(super) fn forget_later(
    batch: &mut Batch<'_, '_>,
    after: Duration,
    what: Forgotten,
    key: &[u8],
) -> Result<(), StorageError> {
    let at = batch.now_ms.saturating_add(millis(after));
    batch.tables.expiry.insert((at, what as u8, key), ())?;
    Ok(())
}

/// Whether there is anything to forget.
pub(super) fn is_due(database: &redb::Database, now_ms: u64) -> Result<bool, redb::Error> {
    let expiry = database.begin_read()?.open_table(EXPIRY)?;
    let first = expiry.first()?;
    Ok(first.is_some_and(|(key, _)| key.value().0 <= now_ms))
}

pub(super) fn sweep(batch: &mut Batch<'_, '_>) -> Result<(), StorageError> {
    let now_ms = batch.now_ms;
    let ended: Vec<u128> = batch
        .leases
        .iter()
        .filter(|(_, end)| **end <= now_ms)
        .map(|(call, _)| *call)
        .collect();
    for call in ended {
        tracing::warn!(call = %crate::InvocationId::from_u128(call), "a lease ended; the call is made again");
        store_only(calls::lose(batch, call))?;
    }
    let mut due = Vec::new();
    for entry in batch
        .tables
        .expiry
        .range(..=(now_ms, u8::MAX, &[][..]))?
        .take(MOST_AT_ONCE)
    {
        let (entry, _) = entry?;
        let (at, what, key) = entry.value();
        due.push((at, what, key.to_vec()));
    }
    for (at, what, key) in due {
        batch.tables.expiry.remove((at, what, key.as_slice()))?;
        forget(batch, what, &key)?;
    }
    Ok(())
}

fn forget(batch: &mut Batch<'_, '_>, what: u8, key: &[u8]) -> Result<(), StorageError> {
    if what == Forgotten::Key as u8 {
        batch.tables.keys.remove(key)?;
        return Ok(());
    }
    let Ok(call) = key.try_into().map(u128::from_be_bytes) else {
        return Ok(());
    };
    batch.tables.results.remove(call)?;
    if what == Forgotten::Dead as u8 {
        batch.tables.dead.remove(call)?;
        batch.tables.envelopes.remove(call)?;
    }
    if what != Forgotten::Result as u8 {
        batch.tables.calls.remove(call)?;
    }
    Ok(())
}

/// What cannot be read stays as it is; what cannot be stored ends the transaction.
fn store_only(result: Result<(), Failed>) -> Result<(), StorageError> {
    match result {
        Err(Failed::Store(error)) => Err(error),
        Err(Failed::Request(error)) => {
            tracing::error!(%error, "a record cannot be read");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// After a start: nobody holds anything any more.
pub(super) fn take_back(batch: &mut Batch<'_, '_>) -> Result<(), StorageError> {
    let mut running = Vec::new();
    for entry in batch.tables.running.iter()? {
        running.push(entry?.0.value());
    }
    for call in running {
        store_only(calls::lose(batch, call))?;
    }
    let mut posting = Vec::new();
    for entry in batch.tables.callbacks_running.iter()? {
        let (call, tries) = entry?;
        posting.push((call.value(), tries.value()));
    }
    for (call, tries) in posting {
        batch.tables.callbacks_running.remove(call)?;
        batch
            .tables
            .callbacks_ready
            .insert((batch.now_ms, call), tries)?;
    }
    Ok(())
}
