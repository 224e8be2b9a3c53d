//! Dead letters: each under its name in a stream that keeps them for a while.

use bytes::Bytes;

use super::Nats;
use super::message::{DUE, ID, Message, PLACE, RECORD, record_in};
use super::publish::Draft;
use super::store::Kept;
use crate::queue::{DeadContent, DeadFilter, DeadLetter};
use crate::{DeadId, Envelope, Error, InvocationId, QueuedCall, format};

impl Nats {
    pub(super) async fn letter(&self, id: &DeadId) -> Result<Option<Kept>, Error> {
        let names = &self.0.names;
        self.last_of(&names.dead(), &names.dead_subject(id)).await
    }

    pub(super) async fn letters(&self, filter: &DeadFilter) -> Result<Vec<DeadLetter>, Error> {
        let names = &self.0.names;
        let (stream, subject) = (names.dead(), names.dead_subjects());
        let mut from = match &filter.after {
            // One that is gone was put back or dropped, as were most likely those before it.
            Some(after) => self
                .letter(after)
                .await?
                .map_or(1, |kept| kept.sequence + 1),
            None => 1,
        };
        let mut letters = Vec::new();
        while letters.len() < filter.most {
            let Some(kept) = self.next_of(&stream, &subject, from).await? else {
                break;
            };
            from = kept.sequence + 1;
            let letter = id_in(&kept).and_then(|id| letter(id, &kept));
            letters.extend(letter.filter(|letter| is_wanted(letter, filter)));
        }
        Ok(letters)
    }

    pub(super) async fn letter_with_content(
        &self,
        id: DeadId,
    ) -> Result<Option<(DeadLetter, DeadContent)>, Error> {
        let Some(kept) = self.letter(&id).await? else {
            return Ok(None);
        };
        let content = match id {
            DeadId::Call(call) => match self.call_of(call, &kept).await {
                Ok(call) => DeadContent::Call(Box::new(call)),
                Err(Error::Format(error)) => DeadContent::Unreadable(error.to_string()),
                Err(error) => return Err(error),
            },
            DeadId::Callback(_) => match format::decode_callback(&kept.envelope) {
                Ok(callback) => DeadContent::Callback(Box::new(callback)),
                Err(error) => DeadContent::Unreadable(error.to_string()),
            },
        };
        Ok(letter(id, &kept).map(|letter| (letter, content)))
    }

    async fn call_of(&self, id: InvocationId, kept: &Kept) -> Result<QueuedCall, Error> {
        let message = message(id, kept);
        let mut call = message.call()?;
        if let Some(body) = self.body_of(&message.envelope).await? {
            call.body = body;
        }
        Ok(call)
    }

    /// Puts a dead letter back. Done twice at once it is put back once.
    pub(super) async fn put_letter_back(&self, id: DeadId) -> Result<Option<InvocationId>, Error> {
        let Some(kept) = self.letter(&id).await? else {
            return Ok(None);
        };
        let names = &self.0.names;
        let record = record_in(&kept.envelope)?;
        let mut envelope = kept.envelope.clone();
        envelope.headers.retain(|(name, _)| name != RECORD);
        let (subject, again) = match id {
            DeadId::Callback(call) => (names.callback_subject(), Some(call)),
            DeadId::Call(_) => {
                self.renew(&mut envelope);
                (names.subject(&record.function), None)
            }
        };
        let draft = Draft {
            subject,
            id: format!("{id}:redrive:{}", kept.sequence),
            envelope,
        };
        let ack = self.publish(&draft).await?;
        self.remove(&names.dead(), kept.sequence).await?;
        match id {
            DeadId::Call(_) => self.wake("call", &record.function).await,
            DeadId::Callback(_) => self.wake("callback", "").await,
        }
        match again {
            Some(call) => Ok(Some(call)),
            None => self.id_at(ack.sequence, false).await,
        }
    }

    /// Makes a call a new one.
    fn renew(&self, envelope: &mut Envelope) {
        let is_ours = envelope.get(ID).is_some();
        let old = [ID, PLACE, DUE, "OF-Enqueued"];
        envelope
            .headers
            .retain(|(name, _)| !old.contains(&name.as_str()));
        if is_ours {
            envelope.push(ID, InvocationId::new());
            envelope.push("OF-Enqueued", u128::from(self.now()) * 1_000_000);
        }
    }

    pub(super) async fn drop_letter(&self, id: DeadId) -> Result<bool, Error> {
        let names = &self.0.names;
        match self.letter(&id).await? {
            Some(kept) => {
                let removed = self.remove(&names.dead(), kept.sequence).await?;
                if removed {
                    self.drop_body(&kept.envelope).await;
                }
                Ok(removed)
            }
            None => Ok(false),
        }
    }
}

/// The call of a dead letter, with the name that it had.
fn message(id: InvocationId, kept: &Kept) -> Message {
    let mut envelope = kept.envelope.clone();
    envelope.headers.retain(|(name, _)| name != RECORD);
    Message {
        id,
        sequence: kept.sequence,
        function: String::new(),
        at_ms: kept.at_ms,
        envelope: Envelope {
            payload: Bytes::clone(&kept.envelope.payload),
            ..envelope
        },
    }
}

fn id_in(kept: &Kept) -> Option<DeadId> {
    let (rest, id) = kept.subject.rsplit_once('.')?;
    let id = id.parse().ok()?;
    Some(match rest.rsplit_once('.')?.1 {
        "callback" => DeadId::Callback(id),
        _ => DeadId::Call(id),
    })
}

fn letter(id: DeadId, kept: &Kept) -> Option<DeadLetter> {
    let record = record_in(&kept.envelope).ok()?;
    Some(DeadLetter {
        id,
        function: record.function,
        call_id: record.call_id,
        reason: record.reason.unwrap_or_default(),
        dead_ms: record.ended_ms.unwrap_or(kept.at_ms),
        failures: record.failures,
        last_status: record.last_status,
    })
}

fn is_wanted(letter: &DeadLetter, filter: &DeadFilter) -> bool {
    let of = |wanted: &Option<String>, has: &str| wanted.as_deref().is_none_or(|it| it == has);
    of(&filter.function, &letter.function) && of(&filter.reason, &letter.reason)
}
