//! The side where calls are taken out and made.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::sync::{broadcast, watch};

use super::Nats;
use super::store::unavailable;
use super::take::PROGRESS;
use crate::queue::Depth;
use crate::work::{CallbackVerdict, Held, Receipt, Settlement, Taken, TakenCallback, Work};
use crate::{Error, InvocationId};

#[async_trait]
impl Work for Nats {
    async fn waiting(&self) -> Result<Vec<Depth>, Error> {
        self.there()?;
        Ok(self.0.board.waiting(self.now()))
    }

    fn lease(&self) -> Duration {
        self.0.settings.lease
    }

    async fn take(&self, wishes: &[(String, usize)]) -> Result<Vec<Taken>, Error> {
        let wishes = wishes.iter().filter(|(_, most)| *most > 0);
        let takes = wishes.map(|(function, most)| self.take_of(function, *most));
        let mut taken = Vec::new();
        let mut failed = None;
        for took in join_all(takes).await {
            match took {
                Ok(calls) => taken.extend(calls),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            // What was taken is held, whatever became of the rest.
            Some(error) if taken.is_empty() => Err(error),
            _ => Ok(taken),
        }
    }

    async fn body(&self, taken: &Taken) -> Result<Option<Bytes>, Error> {
        match &taken.receipt.0 {
            Held::Message(delivery) => self.body_of(&delivery.message.envelope).await,
            _ => Ok(None),
        }
    }

    /// Only while there is a connection: word that is sent later than that would be of a lease that has ended.
    async fn extend(&self, held: &[Receipt]) -> Result<(), Error> {
        self.there()?;
        for Receipt(held) in held {
            let reply = match held {
                Held::Message(delivery) => &delivery.reply,
                Held::Callback(posting) => &posting.reply,
                Held::Disk(_) => continue,
            };
            let word = Bytes::from_static(PROGRESS);
            let sent = self.0.client.publish(reply.clone(), word).await;
            sent.map_err(unavailable)?;
        }
        Ok(())
    }

    async fn settle(&self, taken: &Taken, settlement: Settlement) -> Result<bool, Error> {
        match &taken.receipt.0 {
            Held::Message(delivery) => self.settle_held(delivery, settlement).await,
            _ => Ok(false),
        }
    }

    async fn release(&self, taken: &Taken) -> Result<(), Error> {
        match &taken.receipt.0 {
            Held::Message(delivery) => self.give_back(delivery).await,
            _ => Ok(()),
        }
    }

    async fn take_callbacks(&self, most: usize) -> Result<Vec<TakenCallback>, Error> {
        match most {
            0 => Ok(Vec::new()),
            _ => self.take_due_callbacks(most).await,
        }
    }

    async fn settle_callback(
        &self,
        taken: &TakenCallback,
        verdict: CallbackVerdict,
    ) -> Result<(), Error> {
        match &taken.receipt.0 {
            Held::Callback(posting) => self.settle_posting(posting, &taken.callback, verdict).await,
            _ => Ok(()),
        }
    }

    async fn callbacks_due(&self) -> Result<bool, Error> {
        self.there()?;
        Ok(self.0.board.callbacks_due(self.now()))
    }

    async fn callbacks(&self) -> Result<u64, Error> {
        self.count_callbacks().await
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    fn cancellations(&self) -> broadcast::Receiver<InvocationId> {
        self.0.cancelled.subscribe()
    }

    fn now_ms(&self) -> u64 {
        self.now()
    }

    async fn is_cancelled(&self, id: InvocationId) -> Result<bool, Error> {
        self.has_mark(id).await
    }
}
