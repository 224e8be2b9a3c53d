//! The side where calls are taken out and made.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{broadcast, watch};

use super::{Embedded, callbacks, calls};
use crate::clock::millis;
use crate::queue::{Depth, State};
use crate::work::{CallbackVerdict, Held, Receipt, Settlement, Taken, TakenCallback, Work};
use crate::{Error, InvocationId};

/// The call that is held here; none by a receipt of another store.
fn call_of(receipt: &Receipt) -> Option<u128> {
    match receipt.0 {
        Held::Disk(id) => Some(id.to_u128()),
        Held::Message(_) | Held::Callback(_) => None,
    }
}

#[async_trait]
impl Work for Embedded {
    async fn waiting(&self) -> Result<Vec<Depth>, Error> {
        let mut depths = self.snapshot()?.depths(false)?;
        depths.sort_by_key(|depth| depth.due_ms);
        Ok(depths)
    }

    fn lease(&self) -> Duration {
        self.0.limits.lease
    }

    async fn take(&self, wishes: &[(String, usize)]) -> Result<Vec<Taken>, Error> {
        let (wishes, lease) = (wishes.to_vec(), self.lease());
        self.0
            .writer
            .write(move |batch| {
                let mut taken = Vec::new();
                for (function, most) in &wishes {
                    taken.extend(calls::take(batch, function, *most, lease)?);
                }
                Ok(taken)
            })
            .await
    }

    async fn extend(&self, held: &[Receipt]) -> Result<(), Error> {
        let lease = self.lease();
        let held: Vec<u128> = held.iter().filter_map(call_of).collect();
        self.0
            .writer
            .look(move |batch| {
                let end = batch.now_ms.saturating_add(millis(lease));
                for call in held {
                    if let Some(lease) = batch.leases.get_mut(&call) {
                        *lease = end;
                    }
                }
                Ok(())
            })
            .await
    }

    async fn settle(&self, taken: &Taken, settlement: Settlement) -> Result<bool, Error> {
        let (call, delivery) = (taken.id.to_u128(), taken.delivery);
        let limits = self.0.limits.clone();
        self.0
            .writer
            .write(move |batch| calls::settle(batch, call, delivery, &settlement, &limits))
            .await
    }

    async fn release(&self, taken: &Taken) -> Result<(), Error> {
        let (call, delivery) = (taken.id.to_u128(), taken.delivery);
        self.0
            .writer
            .write(move |batch| calls::release(batch, call, delivery))
            .await
    }

    async fn take_callbacks(&self, most: usize) -> Result<Vec<TakenCallback>, Error> {
        self.0
            .writer
            .write(move |batch| callbacks::take(batch, most))
            .await
    }

    async fn settle_callback(
        &self,
        taken: &TakenCallback,
        verdict: CallbackVerdict,
    ) -> Result<(), Error> {
        let call = taken.callback.id.to_u128();
        self.0
            .writer
            .write(move |batch| callbacks::settle(batch, call, verdict))
            .await
    }

    async fn callbacks_due(&self) -> Result<bool, Error> {
        Ok(self.snapshot()?.callbacks_due(self.now_ms())?)
    }

    async fn callbacks(&self) -> Result<u64, Error> {
        Ok(self.snapshot()?.count_callbacks()?)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.clone()
    }

    fn cancellations(&self) -> broadcast::Receiver<InvocationId> {
        self.0.cancelled.subscribe()
    }

    fn now_ms(&self) -> u64 {
        self.0.clock.now_ms()
    }

    async fn is_cancelled(&self, id: InvocationId) -> Result<bool, Error> {
        let call = id.to_u128();
        self.0
            .writer
            .look(move |batch| {
                let record = batch.tables.record(call)?;
                Ok(record
                    .is_some_and(|record| record.cancelled || record.state == State::Cancelled))
            })
            .await
    }
}
