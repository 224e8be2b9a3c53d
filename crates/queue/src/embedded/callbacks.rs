//! What happens to callbacks.

use bytes::Bytes;
use redb::ReadableTable;

use super::record::Failed;
use super::writer::Batch;
use crate::clock::millis;
use crate::work::{CallbackVerdict, Held, Receipt, TakenCallback};
use crate::{Envelope, InvocationId, format};

pub(super) fn take(batch: &mut Batch<'_, '_>, most: usize) -> Result<Vec<TakenCallback>, Failed> {
    let mut due = Vec::new();
    let until = (batch.now_ms, u128::MAX);
    for entry in batch.tables.callbacks_ready.range(..=until)?.take(most) {
        let (key, tries) = entry?;
        due.push((key.value(), tries.value()));
    }
    let mut taken = Vec::new();
    for (key, tries) in due {
        let call = key.1;
        batch.tables.callbacks_ready.remove(key)?;
        match read(batch, call)? {
            Some(callback) => {
                batch.tables.callbacks_running.insert(call, tries)?;
                let receipt = Receipt(Held::Disk(callback.id));
                taken.push(TakenCallback {
                    callback,
                    tries,
                    receipt,
                });
            }
            // It cannot be posted as it is, and is not thrown away.
            None => drop(batch.tables.callbacks_dead.insert(call, batch.now_ms)?),
        }
    }
    Ok(taken)
}

fn read(batch: &Batch<'_, '_>, call: u128) -> Result<Option<crate::Callback>, Failed> {
    let bytes = batch.tables.callbacks.get(call)?;
    let bytes = bytes.map(|bytes| Bytes::copy_from_slice(bytes.value()));
    let read = Envelope::from_bytes(&bytes.unwrap_or_default())
        .and_then(|envelope| format::decode_callback(&envelope));
    Ok(read
        .inspect_err(|error| {
            tracing::error!(call = %InvocationId::from_u128(call), %error, "a callback cannot be read");
        })
        .ok())
}

pub(super) fn settle(
    batch: &mut Batch<'_, '_>,
    call: u128,
    verdict: CallbackVerdict,
) -> Result<(), Failed> {
    let Some(tries) = batch
        .tables
        .callbacks_running
        .remove(call)?
        .map(|tries| tries.value())
    else {
        return Ok(());
    };
    match verdict {
        CallbackVerdict::Done => drop(batch.tables.callbacks.remove(call)?),
        CallbackVerdict::Dead => drop(batch.tables.callbacks_dead.insert(call, batch.now_ms)?),
        CallbackVerdict::Again { after, tried } => {
            let due = batch.now_ms.saturating_add(millis(after));
            let tries = tries + u32::from(tried);
            batch.tables.callbacks_ready.insert((due, call), tries)?;
        }
    }
    Ok(())
}
