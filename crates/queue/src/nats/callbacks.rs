//! Callbacks: one consumer of a stream of their own.

use std::time::Duration;

use bytes::Bytes;

use super::Nats;
use super::message::push_record;
use super::publish::Draft;
use super::take::{ACK, Handed, TERM};
use crate::clock::millis;
use crate::queue::State;
use crate::record::Record;
use crate::work::{CallbackVerdict, Held, Receipt, TakenCallback};
use crate::{Callback, DeadId, Envelope, Error, FormatError, InvocationId, Reason, format};

/// How long a callback is left alone that is for a newer worker.
const LEFT: Duration = Duration::from_secs(5);
/// A callback that comes back so much too early is taken as due.
const EARLY_MS: u64 = 20;

/// What holds a callback.
#[derive(Debug)]
pub(crate) struct Posting {
    pub(super) reply: String,
    sequence: u64,
    tries: u32,
    delivered: u32,
}

/// What went before with a callback: how often it was tried, and when it may be again.
#[derive(Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
struct Tried {
    tries: u32,
    due_ms: u64,
}

impl Nats {
    pub(super) async fn take_due_callbacks(
        &self,
        most: usize,
    ) -> Result<Vec<TakenCallback>, Error> {
        let consumer = self.callbacks_consumer().await?;
        let handed = match self.fetch(&consumer, most).await {
            Ok(handed) => handed,
            Err(error) => {
                self.0.consumers.lock().await.remove("");
                return Err(error);
            }
        };
        if handed.len() < most {
            self.0.board.no_callbacks();
        }
        let mut taken = Vec::new();
        for one in handed {
            let sequence = one.kept.sequence;
            match self.begin_callback(one).await {
                Ok(one) => taken.extend(one),
                Err(error) => {
                    tracing::warn!(sequence, %error, "a callback was taken and cannot be begun; it comes again");
                }
            }
        }
        Ok(taken)
    }

    async fn begin_callback(&self, handed: Handed) -> Result<Option<TakenCallback>, Error> {
        let (sequence, delivered) = (handed.kept.sequence, handed.delivered);
        let tried = match delivered {
            1 => Tried::default(),
            _ => self.tried(sequence).await?,
        };
        let now = self.now();
        if tried.due_ms > now + EARLY_MS {
            let left = Duration::from_millis(tried.due_ms - now);
            self.put_off(&handed.reply, left).await;
            self.0.board.callback_comes_back(tried.due_ms);
            return Ok(None);
        }
        let callback = match format::decode_callback(&handed.kept.envelope) {
            Ok(callback) => callback,
            Err(error @ FormatError::Newer(_)) => {
                tracing::warn!(sequence, %error, "a callback is left to a newer worker");
                self.put_off(&handed.reply, LEFT).await;
                return Ok(None);
            }
            Err(error) => {
                tracing::error!(sequence, %error, "a callback cannot be read");
                // It cannot be posted as it is, and is not thrown away.
                let id = InvocationId::at(sequence, false, InvocationId::new());
                self.bury_callback(id, &handed.kept.envelope, None).await?;
                self.answer(&handed.reply, TERM).await;
                return Ok(None);
            }
        };
        Ok(Some(TakenCallback {
            callback,
            tries: tried.tries,
            receipt: Receipt(Held::Callback(std::sync::Arc::new(Posting {
                reply: handed.reply,
                sequence,
                tries: tried.tries,
                delivered,
            }))),
        }))
    }

    pub(super) async fn settle_posting(
        &self,
        posting: &Posting,
        callback: &Callback,
        verdict: CallbackVerdict,
    ) -> Result<(), Error> {
        match verdict {
            CallbackVerdict::Done => {
                self.answer(&posting.reply, ACK).await;
            }
            CallbackVerdict::Dead => {
                let envelope = format::encode_callback(callback);
                self.bury_callback(callback.id, &envelope, Some(callback))
                    .await?;
                self.answer(&posting.reply, TERM).await;
            }
            CallbackVerdict::Again { after, tried } => {
                let due_ms = self.now().saturating_add(millis(after));
                let tries = posting.tries + u32::from(tried);
                self.note_tried(posting, Tried { tries, due_ms }).await?;
                self.put_off(&posting.reply, after).await;
                self.0.board.callback_comes_back(due_ms);
                return Ok(());
            }
        }
        if posting.tries > 0 {
            self.forget_attempts(&format!("p.{}", posting.sequence))
                .await?;
        }
        Ok(())
    }

    async fn tried(&self, sequence: u64) -> Result<Tried, Error> {
        let names = &self.0.names;
        let subject = names.attempt_subject(&format!("p.{sequence}"));
        let kept = self.last_of(&names.attempts(), &subject).await?;
        let tried = kept.and_then(|kept| serde_json::from_slice(&kept.envelope.payload).ok());
        Ok(tried.unwrap_or_default())
    }

    async fn note_tried(&self, posting: &Posting, tried: Tried) -> Result<(), Error> {
        let text =
            serde_json::to_vec(&tried).map_err(|error| Error::Unavailable(error.to_string()))?;
        let key = format!("p.{}", posting.sequence);
        let draft = Draft {
            subject: self.0.names.attempt_subject(&key),
            id: format!("{key}:{}", posting.delivered),
            envelope: Envelope::new(Bytes::from(text)),
        };
        self.publish(&draft).await.map(drop)
    }

    async fn bury_callback(
        &self,
        id: InvocationId,
        envelope: &Envelope,
        callback: Option<&Callback>,
    ) -> Result<(), Error> {
        let text = |of: fn(&Callback) -> &String| callback.map(of).cloned().unwrap_or_default();
        let now = self.now();
        let (function, queue) = (text(|callback| &callback.function), &self.0.settings.queue);
        let record = Record {
            state: State::Dead,
            call_id: text(|callback| &callback.call_id),
            ended_ms: Some(now),
            reason: Some(Reason::CallbackFailed.to_string()),
            ..Record::queued(&function, queue, now, now)
        };
        let mut envelope = envelope.clone();
        push_record(&mut envelope, &record)?;
        self.bury(DeadId::Callback(id), envelope).await
    }

    pub(super) async fn count_callbacks(&self) -> Result<u64, Error> {
        let consumer = self.callbacks_consumer().await?;
        let info = consumer
            .get_info()
            .await
            .map_err(super::store::unavailable)?;
        Ok(info.num_pending + info.num_ack_pending as u64)
    }
}
