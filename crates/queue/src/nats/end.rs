//! How calls end. The end is stored first, and only one can be: it decides. What follows from it, the dead letter and the
//! callback, is stored next, under names of its own; only then does the message leave the stream. Whoever finds a message
//! whose end is stored does what is left.

use std::time::Duration;

use bytes::Bytes;

use super::Nats;
use super::message::{ID, Message, RECORD, key, push_record, record_in};
use super::publish::Draft;
use super::take::{Delivery, TERM};
use crate::clock::millis;
use crate::queue::State;
use crate::record::Record;
use crate::settlement::{Counts, Verdict};
use crate::work::Settlement;
use crate::{Answer, Callback, DeadId, Envelope, Error, format};

/// The status of a call that its caller cancelled.
const CANCELLED: u16 = 499;
/// A call that was put off, and ended before it was moved to the others.
pub(super) const EARLY: &str = "OF-Early";
const CALLBACK_URL: &str = "OF-Callback-Url";
/// Room in a message for what is told beside its body.
pub(super) const HEAD: usize = 16 * 1024;

/// How a call ends.
struct Ending {
    verdict: Verdict,
    answer: Option<Answer>,
    status: Option<u16>,
    took: Duration,
    retries: Option<(u32, u32)>,
    early: bool,
    /// Whether there is a record of what went before.
    noted: bool,
    /// Who says so: one who says it again says the same.
    by: String,
}

impl Nats {
    pub(super) async fn settle_held(
        &self,
        delivery: &Delivery,
        settlement: Settlement,
    ) -> Result<bool, Error> {
        if let Verdict::Retry { after, counts } = settlement.verdict {
            return self.put_back(delivery, &settlement, after, counts).await;
        }
        let mut record = delivery.record.clone();
        let retries = record.note_end(&settlement);
        let ending = Ending {
            verdict: settlement.verdict,
            answer: settlement.answer,
            status: settlement.status,
            took: settlement.took,
            retries: Some(retries),
            early: false,
            noted: delivery.revision > 0,
            by: delivery.delivered.to_string(),
        };
        let first = self.end(&delivery.message, record, ending).await?;
        if first {
            self.answer(&delivery.reply, TERM).await;
        }
        Ok(first)
    }

    /// Puts a call back: what went before is noted first, and only by who holds it.
    async fn put_back(
        &self,
        delivery: &Delivery,
        settlement: &Settlement,
        after: Duration,
        counts: Counts,
    ) -> Result<bool, Error> {
        let message = &delivery.message;
        let mut record = delivery.record.clone();
        record.note_return(settlement.status, counts);
        if self.has_mark(message.id).await? {
            let first = self
                .end_cancelled(message, record, delivery.revision > 0, false)
                .await?;
            self.answer(&delivery.reply, TERM).await;
            return Ok(first);
        }
        if self.end_of(message.id).await?.is_some() {
            return Ok(false);
        }
        self.wait(delivery, record, after).await
    }

    /// Gives back a call that was not begun.
    pub(super) async fn give_back(&self, delivery: &Delivery) -> Result<(), Error> {
        let mut record = delivery.record.clone();
        record.deliveries -= 1;
        self.wait(delivery, record, Duration::ZERO).await.map(drop)
    }

    async fn wait(
        &self,
        delivery: &Delivery,
        mut record: Record,
        after: Duration,
    ) -> Result<bool, Error> {
        record.state = State::Queued;
        record.due_ms = self.now().saturating_add(millis(after));
        let (after_this, times) = (delivery.revision, delivery.delivered);
        let written = self.write_attempts(delivery.message.id, &record, after_this, times, "back");
        if written.await?.is_none() {
            return Ok(false);
        }
        self.put_off(&delivery.reply, after).await;
        self.0.board.comes_back(&record.function, record.due_ms);
        self.tick();
        Ok(true)
    }

    /// Ends a call as cancelled that nobody makes. Whether it had not ended before.
    pub(super) async fn end_cancelled(
        &self,
        message: &Message,
        record: Record,
        noted: bool,
        early: bool,
    ) -> Result<bool, Error> {
        let ending = Ending {
            verdict: Verdict::Cancelled,
            answer: Some(Answer::of_status(CANCELLED)),
            status: None,
            took: Duration::ZERO,
            retries: None,
            early,
            noted,
            by: "cancel".to_owned(),
        };
        self.end(message, record, ending).await
    }

    /// Stores a call's end, and what follows from it. Whether this end is the one that counts.
    async fn end(&self, message: &Message, record: Record, ending: Ending) -> Result<bool, Error> {
        let Some(key) = key(message.id) else {
            return Err(Error::Unavailable("a call has no place".to_owned()));
        };
        let noted = ending.noted;
        let envelope = self.end_envelope(message, record, &ending)?;
        let names = &self.0.names;
        let draft = Draft {
            subject: names.end_subject(&key),
            id: format!("{key}:{}", ending.by),
            envelope: envelope.clone(),
        };
        if self.publish_after(0, &names.ends(), draft).await?.is_none() {
            return Ok(false);
        }
        self.finish(message, &envelope).await?;
        if noted {
            self.forget_attempts(&key).await?;
        }
        Ok(true)
    }

    fn end_envelope(
        &self,
        message: &Message,
        mut record: Record,
        ending: &Ending,
    ) -> Result<Envelope, Error> {
        record.state = match ending.verdict {
            Verdict::Dead(_) => State::Dead,
            Verdict::Cancelled => State::Cancelled,
            Verdict::Failed => State::Failed,
            Verdict::Succeeded | Verdict::Retry { .. } => State::Succeeded,
        };
        record.ended_ms = Some(self.now());
        record.last_status = ending.status.or(record.last_status);
        if let Verdict::Dead(reason) = ending.verdict {
            record.reason = Some(reason.to_string());
        }
        let answer = ending.answer.clone().map(|answer| self.fitting(answer));
        // What was not touched is not read now either.
        let url = answer.as_ref().and_then(|_| message.callback_url());
        let mut envelope = match (answer, url) {
            (Some(answer), Some(url)) => format::encode_callback(&Callback {
                id: message.id,
                call_id: record.call_id.clone(),
                function: record.called.clone(),
                url,
                took_micros: u64::try_from(ending.took.as_micros()).unwrap_or(u64::MAX),
                retries: ending.retries,
                answer,
            }),
            (Some(answer), None) if record.keep_result => {
                let mut envelope = format::encode_answer(&answer);
                envelope.push(ID, message.id);
                envelope
            }
            _ => {
                let mut envelope = Envelope::new(Bytes::new());
                envelope.push(ID, message.id);
                envelope
            }
        };
        envelope.push_some(EARLY, ending.early.then_some("1"));
        push_record(&mut envelope, &record)?;
        Ok(envelope)
    }

    /// An answer cut to what a message holds.
    fn fitting(&self, mut answer: Answer) -> Answer {
        let pairs = answer.headers.iter();
        // A value that is no text is stored as base64.
        let head: usize = pairs
            .map(|(name, value)| name.len() + value.len() * 4 / 3 + 16)
            .sum();
        let most = self.most_bytes().saturating_sub(head);
        if answer.body.len() > most {
            answer.body.truncate(most);
            answer.truncated = true;
        }
        answer
    }

    /// The largest body that a message holds beside its headers.
    pub(super) fn most_bytes(&self) -> usize {
        self.0.client.server_info().max_payload.saturating_sub(HEAD)
    }

    /// What follows from an end that is stored; done again it changes nothing.
    pub(super) async fn finish(&self, message: &Message, end: &Envelope) -> Result<(), Error> {
        let record = record_in(end)?;
        let names = &self.0.names;
        if record.state == State::Dead {
            let id = DeadId::Call(message.id);
            let mut envelope = message.envelope.clone();
            push_record(&mut envelope, &record)?;
            self.bury(id, envelope).await?;
        } else {
            self.drop_body(&message.envelope).await;
        }
        if end.get(CALLBACK_URL).is_some() {
            let mut envelope = end.clone();
            envelope
                .headers
                .retain(|(name, _)| name != RECORD && name != EARLY);
            let draft = Draft {
                subject: names.callback_subject(),
                id: format!("{}:callback", message.id),
                envelope,
            };
            self.publish(&draft).await?;
            self.wake("callback", "").await;
        }
        Ok(())
    }

    /// Stores a dead letter, once.
    pub(super) async fn bury(&self, id: DeadId, envelope: Envelope) -> Result<(), Error> {
        let names = &self.0.names;
        let draft = Draft {
            subject: names.dead_subject(&id),
            id: format!("{id}:dead"),
            envelope,
        };
        self.publish_after(0, &names.dead(), draft).await.map(drop)
    }

    /// Tells workers that there is something to take. It may get lost: they look by themselves as well.
    pub(super) async fn wake(&self, kind: &str, function: &str) {
        if self.there().is_ok() {
            let subject = self.0.names.wake_subject(kind);
            let words = Bytes::copy_from_slice(function.as_bytes());
            let _ = self.0.client.publish(subject, words).await;
        }
    }
}
