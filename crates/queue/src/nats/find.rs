//! Finding a call by its id, or by its caller's name for it.

use super::Nats;
use super::message::{ID, Message, key, record_in};
use super::store::{Kept, unavailable};
use crate::queue::{CallStatus, State};
use crate::record::Record;
use crate::{Answer, DeadId, Error, InvocationId, format};

/// Most calls that are told of one call id.
const MOST_OF_A_CALL_ID: usize = 100;
/// Most messages of a stream that are looked at for a call id, from the oldest on.
const MOST_LOOKED_AT: usize = 20_000;

/// A call that has not ended, where it is.
pub(super) struct Found {
    pub(super) message: Message,
    /// Whether it is still among the calls that were put off.
    pub(super) delayed: bool,
}

impl Nats {
    /// A call that is in one of the streams.
    pub(super) async fn find(&self, id: InvocationId) -> Result<Option<Found>, Error> {
        let Some((place, delayed)) = id.place() else {
            return Ok(None);
        };
        let names = &self.0.names;
        let here = |message: &Message| message.id == id;
        if !delayed {
            return Ok(self.call_at(place).await?.filter(here).map(not_delayed));
        }
        if let Some(kept) = self.message_at(&names.delayed(), place).await? {
            let message = Message::of(kept, names, true);
            let delayed = true;
            return Ok(here(&message).then_some(Found { message, delayed }));
        }
        let Some(place) = self.moved_to(place).await? else {
            return Ok(None);
        };
        Ok(self.call_at(place).await?.filter(here).map(not_delayed))
    }

    pub(super) async fn call_at(&self, place: u64) -> Result<Option<Message>, Error> {
        let names = &self.0.names;
        let kept = self.message_at(&names.calls(), place).await?;
        Ok(kept.map(|kept| Message::of(kept, names, false)))
    }

    /// Where a call that was put off is now.
    async fn moved_to(&self, place: u64) -> Result<Option<u64>, Error> {
        let names = &self.0.names;
        let subject = names.attempt_subject(&format!("m.{place}"));
        let kept = self.last_of(&names.attempts(), &subject).await?;
        let text = kept.map(|kept| String::from_utf8_lossy(&kept.envelope.payload).into_owned());
        Ok(text.and_then(|text| text.parse().ok()))
    }

    pub(super) async fn status_of(&self, id: InvocationId) -> Result<Option<CallStatus>, Error> {
        if let Some(end) = self.known_end(id).await? {
            return Ok(Some(record_in(&end.envelope)?.status(id)));
        }
        match self.find(id).await? {
            Some(found) => Ok(Some(self.record_of(&found).await?.status(id))),
            None => {
                // It may have ended meanwhile, or long ago.
                let end = match self.known_end(id).await? {
                    Some(end) => Some(end),
                    None => self.letter(&DeadId::Call(id)).await?,
                };
                let record = end.map(|end| record_in(&end.envelope)).transpose()?;
                Ok(record.map(|record| record.status(id)))
            }
        }
    }

    /// The end of a call, to who knows its whole id.
    async fn known_end(&self, id: InvocationId) -> Result<Option<Kept>, Error> {
        let end = self.end_of(id).await?;
        Ok(end.filter(|end| is_of(end, id)))
    }

    pub(super) async fn result_of(&self, id: InvocationId) -> Result<Option<Answer>, Error> {
        let Some(end) = self.known_end(id).await? else {
            return Ok(None);
        };
        match record_in(&end.envelope)?.keep_result {
            // Where there was no answer there is none to tell.
            true if end.envelope.get("OF-Status").is_some() => {
                Ok(Some(format::decode_answer(&end.envelope)?))
            }
            _ => Ok(None),
        }
    }

    /// What is known of a call that has not ended. One that was handed out, and of which nothing else is known, runs.
    pub(super) async fn record_of(&self, found: &Found) -> Result<Record, Error> {
        let Found { message, delayed } = found;
        let untouched = message.record(&self.0.settings.queue);
        if *delayed {
            return Ok(untouched);
        }
        if let (Some(record), _) = self.attempts_of(message.id).await? {
            return Ok(record);
        }
        let state = match self.handed_out(&message.function).await? >= message.sequence {
            true => State::Running,
            false => State::Queued,
        };
        let deliveries = u32::from(state == State::Running);
        Ok(Record {
            state,
            deliveries,
            ..untouched
        })
    }

    /// The last call of a function that was handed out; 0 where none was.
    async fn handed_out(&self, function: &str) -> Result<u64, Error> {
        const NO_CONSUMER: u64 = 10014;
        let names = &self.0.names;
        let stream = self.stream(&names.calls()).await?;
        match stream.consumer_info(names.consumer(function)).await {
            Ok(info) => Ok(info.delivered.stream_sequence),
            Err(error) => match error.kind() {
                async_nats::jetstream::context::ConsumerInfoErrorKind::NotFound => Ok(0),
                async_nats::jetstream::context::ConsumerInfoErrorKind::JetStream(refusal)
                    if refusal.error_code().0 == NO_CONSUMER =>
                {
                    Ok(0)
                }
                _ => Err(unavailable(error)),
            },
        }
    }

    pub(super) async fn cancel_call(&self, id: InvocationId) -> Result<bool, Error> {
        if self.end_of(id).await?.is_some() {
            return Ok(false);
        }
        let Some(found) = self.find(id).await? else {
            return Ok(false);
        };
        // First the mark: whoever takes the call meanwhile hears of it.
        self.mark(id).await?;
        let record = self.record_of(&found).await?;
        if record.state == State::Running {
            return Ok(true);
        }
        let Found { message, delayed } = found;
        let noted = record.deliveries > 0 || record.returns > 0;
        let first = self.end_cancelled(&message, record, noted, delayed).await?;
        let names = &self.0.names;
        let stream = if delayed {
            names.delayed()
        } else {
            names.calls()
        };
        self.remove(&stream, message.sequence).await?;
        Ok(first)
    }

    /// Calls that a caller gave this name, those that have ended first.
    pub(super) async fn of_call_id(&self, call_id: &str) -> Result<Vec<CallStatus>, Error> {
        let names = &self.0.names;
        let mut found = Vec::new();
        let (stream, every) = (names.ends(), names.end_subject(">"));
        let ends = self.look_through(&stream, &every, |kept| {
            let record = record_in(&kept.envelope).ok()?;
            let id: InvocationId = kept.envelope.get(ID)?.parse().ok()?;
            (record.call_id == call_id).then_some(id)
        });
        found.extend(ends.await?);
        for (stream, subject, delayed) in [
            (names.calls(), names.calls_subjects(), false),
            (names.delayed(), names.delayed_subject(), true),
        ] {
            let calls = self.look_through(&stream, &subject, |kept| {
                let is_of = kept.envelope.get("OF-Call-Id") == Some(call_id);
                is_of.then(|| Message::of(kept, names, delayed).id)
            });
            found.extend(calls.await?);
        }
        let mut calls = Vec::new();
        for id in found.into_iter().take(MOST_OF_A_CALL_ID) {
            let known = calls.iter().any(|call: &CallStatus| call.id == id);
            if !known {
                calls.extend(self.status_of(id).await?);
            }
        }
        Ok(calls)
    }

    async fn look_through<T>(
        &self,
        stream: &str,
        subject: &str,
        mut of: impl FnMut(Kept) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let mut found = Vec::new();
        let mut from = 1;
        for _ in 0..MOST_LOOKED_AT {
            let Some(kept) = self.next_of(stream, subject, from).await? else {
                break;
            };
            from = kept.sequence + 1;
            found.extend(of(kept));
            if found.len() == MOST_OF_A_CALL_ID {
                break;
            }
        }
        Ok(found)
    }

    /// Notes that a call is cancelled, and tells those who may be making it.
    async fn mark(&self, id: InvocationId) -> Result<(), Error> {
        let draft = super::publish::Draft {
            subject: self.0.names.cancel_subject(&id.to_string()),
            id: format!("{id}:cancel"),
            envelope: crate::Envelope::new(bytes::Bytes::new()),
        };
        self.publish(&draft).await.map(drop)
    }

    /// Whether it is noted that a call is cancelled.
    pub(super) async fn has_mark(&self, id: InvocationId) -> Result<bool, Error> {
        let names = &self.0.names;
        let subject = names.cancel_subject(&id.to_string());
        let mark = self.last_of(&names.cancels(), &subject).await?;
        Ok(mark.is_some())
    }

    /// The id of a call that was accepted before, wherever it is now.
    pub(super) async fn id_at(
        &self,
        place: u64,
        delayed: bool,
    ) -> Result<Option<InvocationId>, Error> {
        let names = &self.0.names;
        let stream = if delayed {
            names.delayed()
        } else {
            names.calls()
        };
        if let Some(kept) = self.message_at(&stream, place).await? {
            return Ok(Some(Message::of(kept, names, delayed).id));
        }
        let kind = if delayed { 'd' } else { 'c' };
        let subject = names.end_subject(&format!("{kind}.{place}.*"));
        let end = self.last_of(&names.ends(), &subject).await?;
        Ok(end.and_then(|end| end.envelope.get(ID)?.parse().ok()))
    }
}

fn not_delayed(message: Message) -> Found {
    Found {
        message,
        delayed: false,
    }
}

fn is_of(end: &Kept, id: InvocationId) -> bool {
    end.envelope.get(ID) == Some(id.to_string().as_str()) && key(id).is_some()
}
