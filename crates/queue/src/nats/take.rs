//! Taking calls: from one consumer for each function, exactly as many as asked for.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::Nats;
use super::message::{Message, key, push_record, record_in};
use super::names::Names;
use super::publish::Draft;
use super::store::{Kept, envelope, millis, unavailable};
use crate::queue::State;
use crate::record::Record;
use crate::work::{Form, Held, Receipt, Stored, Taken};
use crate::{Envelope, Error, InvocationId};

/// Calls of one function that are taken or wait to be made again; more are not given out.
const MOST_PENDING: i64 = 2_000;
/// How long the server has to hand out what it has.
const PATIENCE: Duration = Duration::from_secs(5);
/// A call that comes back so much too early is taken as due.
const EARLY_MS: u64 = 20;
pub(super) const TERM: &[u8] = b"+TERM";
pub(super) const ACK: &[u8] = b"+ACK";
pub(super) const PROGRESS: &[u8] = b"+WPI";
/// Says that an entry of a bucket was removed.
const OPERATION: &str = "KV-Operation";

/// What holds a call: where to answer, and what is known of the call.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(super) reply: String,
    /// How often the server handed it out.
    pub(super) delivered: u32,
    pub(super) record: Record,
    /// The place of the record among the attempts; 0 where there is none.
    pub(super) revision: u64,
    pub(super) message: Arc<Message>,
}

/// A message as a consumer hands it out.
pub(super) struct Handed {
    pub(super) kept: Kept,
    pub(super) reply: String,
    pub(super) delivered: u32,
}

impl Handed {
    fn read(message: jetstream::Message) -> Option<Self> {
        let info = message.info().ok()?;
        let (sequence, at) = (info.stream_sequence, info.published.unix_timestamp_nanos());
        let delivered = u32::try_from(info.delivered).unwrap_or(u32::MAX);
        let reply = message.reply.as_ref()?.to_string();
        let message = message.message;
        let headers = message.headers.unwrap_or_default();
        Some(Self {
            kept: Kept {
                sequence,
                subject: message.subject.to_string(),
                message_id: None,
                at_ms: millis(at),
                envelope: envelope(&headers, message.payload),
            },
            reply,
            delivered,
        })
    }
}

impl Nats {
    pub(super) async fn take_of(&self, function: &str, most: usize) -> Result<Vec<Taken>, Error> {
        let consumer = self.consumer(function).await?;
        let handed = match self.fetch(&consumer, most).await {
            Ok(handed) => handed,
            Err(error) => {
                // It may have been deleted.
                self.0.consumers.lock().await.remove(function);
                return Err(error);
            }
        };
        self.0
            .board
            .taken(function, handed.len(), handed.len() < most);
        let begins = handed.into_iter().map(|one| async {
            let sequence = one.kept.sequence;
            self.begin(one).await.unwrap_or_else(|error| {
                tracing::warn!(function, sequence, %error, "a call was taken and cannot be begun; it comes again");
                None
            })
        });
        Ok(join_all(begins).await.into_iter().flatten().collect())
    }

    /// What a consumer has, at most so many.
    pub(super) async fn fetch(
        &self,
        consumer: &PullConsumer,
        most: usize,
    ) -> Result<Vec<Handed>, Error> {
        self.there()?;
        let deadline = Instant::now() + PATIENCE;
        let batch = consumer.fetch().max_messages(most).messages();
        let mut batch = batch.await.map_err(unavailable)?;
        let mut handed = Vec::new();
        // What was handed out is held: it is not thrown away because the rest does not come.
        loop {
            match timeout_at(deadline, batch.next()).await {
                Ok(Some(Ok(message))) => handed.extend(Handed::read(message)),
                Ok(None) => break,
                Ok(Some(Err(error))) if handed.is_empty() => return Err(unavailable(error)),
                // A consumer that is there no more does not even refuse.
                Err(_) if handed.is_empty() => return Err(unavailable("NATS hands nothing out")),
                Ok(Some(Err(_))) | Err(_) => break,
            }
        }
        Ok(handed)
    }

    /// A message that a consumer has, or that comes within a time where it has none.
    pub(super) async fn wait_for(
        &self,
        consumer: &PullConsumer,
        patience: Duration,
    ) -> Result<Vec<Handed>, Error> {
        let batch = consumer.batch().max_messages(1).expires(patience);
        let mut batch = batch.messages().await.map_err(unavailable)?;
        let mut handed = Vec::new();
        let deadline = Instant::now() + patience + PATIENCE;
        while let Ok(Some(message)) = timeout_at(deadline, batch.next()).await {
            handed.extend(Handed::read(message.map_err(unavailable)?));
        }
        Ok(handed)
    }

    async fn consumer(&self, function: &str) -> Result<PullConsumer, Error> {
        let mut consumers = self.0.consumers.lock().await;
        if let Some(consumer) = consumers.get(function) {
            return Ok(consumer.clone());
        }
        let names = &self.0.names;
        let config = pull::Config {
            max_ack_pending: MOST_PENDING,
            ..self.consumer_config(names.consumer(function), names.subject(function))
        };
        let stream = self.stream(&names.calls()).await?;
        let consumer = stream.create_consumer(config).await.map_err(unavailable)?;
        consumers.insert(function.to_owned(), consumer.clone());
        Ok(consumer)
    }

    /// No limit of deliveries: a message that reached it would stay for ever, unseen. No back-off: it would replace the
    /// lease.
    pub(super) fn consumer_config(&self, name: String, subject: String) -> pull::Config {
        pull::Config {
            durable_name: Some(name),
            filter_subject: subject,
            ack_wait: self.0.settings.lease,
            max_deliver: -1,
            ..pull::Config::default()
        }
    }

    async fn begin(&self, handed: Handed) -> Result<Option<Taken>, Error> {
        let Handed {
            kept,
            reply,
            delivered,
        } = handed;
        let message = Arc::new(Message::of(kept, &self.0.names, false));
        let known = match delivered {
            1 if self.may_be_forgotten(message.at_ms) && self.is_done(&message, &reply).await? => {
                None
            }
            1 => {
                let mut record = message.record(&self.0.settings.queue);
                self.run(&mut record);
                Some((record, 0))
            }
            _ => self.resume(&message, delivered, &reply).await?,
        };
        Ok(known.map(|(record, revision)| {
            self.taken(Delivery {
                reply,
                delivered,
                record,
                revision,
                message,
            })
        }))
    }

    fn run(&self, record: &mut Record) {
        record.state = State::Running;
        record.deliveries += 1;
        record.started_ms = Some(self.now());
    }

    fn taken(&self, delivery: Delivery) -> Taken {
        let now = self.now();
        let since = |ms: u64| Duration::from_millis(now.saturating_sub(ms));
        let (record, message) = (&delivery.record, &delivery.message);
        Taken {
            id: message.id,
            function: record.function.clone(),
            delivery: record.deliveries,
            returns: record.returns,
            failures: record.failures,
            unreachable: record.unreachable,
            age: since(message.at_ms),
            waited: since(record.due_ms),
            stored: Stored(Form::Message(Arc::clone(message))),
            receipt: Receipt(Held::Message(Arc::new(delivery))),
        }
    }

    /// A call that was handed out before: what is known of it, where it is to be made. One whose end is known is only
    /// taken out of the stream.
    async fn resume(
        &self,
        message: &Arc<Message>,
        delivered: u32,
        reply: &str,
    ) -> Result<Option<(Record, u64)>, Error> {
        if self.is_done(message, reply).await? {
            return Ok(None);
        }
        let (known, revision) = self.attempts_of(message.id).await?;
        let again = known.is_some();
        let mut record = known.unwrap_or_else(|| message.record(&self.0.settings.queue));
        if self.has_mark(message.id).await? {
            self.end_cancelled(message, record, revision > 0, false)
                .await?;
            self.answer(reply, TERM).await;
            return Ok(None);
        }
        let now = self.now();
        if record.state == State::Queued && again && record.due_ms > now + EARLY_MS {
            // Whoever put it back could not say until when.
            self.put_off(reply, Duration::from_millis(record.due_ms - now))
                .await;
            self.0.board.comes_back(&record.function, record.due_ms);
            return Ok(None);
        }
        if !again {
            record.deliveries = delivered - 1;
        }
        self.run(&mut record);
        let written = self.write_attempts(message.id, &record, revision, delivered, "run");
        Ok(written.await?.map(|revision| (record, revision)))
    }

    /// Whether a call has ended that was handed out all the same; then all that is left is done.
    async fn is_done(&self, message: &Message, reply: &str) -> Result<bool, Error> {
        let Some(end) = self.end_of(message.id).await? else {
            return Ok(false);
        };
        self.finish(message, &end.envelope).await?;
        self.answer(reply, TERM).await;
        Ok(true)
    }

    /// What went before, and the place where that is told.
    pub(super) async fn attempts_of(
        &self,
        id: InvocationId,
    ) -> Result<(Option<Record>, u64), Error> {
        let names = &self.0.names;
        let subject = names.attempt_subject(&key(id).unwrap_or_default());
        let Some(kept) = self.last_of(&names.attempts(), &subject).await? else {
            return Ok((None, 0));
        };
        match kept.envelope.get(OPERATION) {
            Some(_) => Ok((None, kept.sequence)),
            None => Ok((Some(record_in(&kept.envelope)?), kept.sequence)),
        }
    }

    /// Notes what went before, unless somebody else did so first.
    pub(super) async fn write_attempts(
        &self,
        id: InvocationId,
        record: &Record,
        after: u64,
        delivered: u32,
        what: &str,
    ) -> Result<Option<u64>, Error> {
        let names = &self.0.names;
        let key = key(id).unwrap_or_default();
        let mut envelope = Envelope::new(Bytes::new());
        push_record(&mut envelope, record)?;
        let draft = Draft {
            subject: names.attempt_subject(&key),
            id: format!("{key}:{delivered}:{what}"),
            envelope,
        };
        self.publish_after(after, &names.attempts(), draft).await
    }

    /// Notes that what went before does not matter any more.
    pub(super) async fn forget_attempts(&self, key: &str) -> Result<(), Error> {
        let mut envelope = Envelope::new(Bytes::new());
        envelope.push(OPERATION, "DEL");
        let draft = Draft {
            subject: self.0.names.attempt_subject(key),
            id: format!("{key}:forget"),
            envelope,
        };
        self.publish(&draft).await.map(drop)
    }

    pub(super) async fn end_of(&self, id: InvocationId) -> Result<Option<Kept>, Error> {
        let Some(key) = key(id) else {
            return Ok(None);
        };
        let names = &self.0.names;
        self.last_of(&names.ends(), &names.end_subject(&key)).await
    }

    /// Hands a message back for a while.
    pub(super) async fn put_off(&self, reply: &str, after: Duration) {
        let words = format!("-NAK {{\"delay\": {}}}", after.as_nanos());
        self.answer(reply, words.as_bytes()).await;
    }

    /// Answers a delivery until the server has heard it. Where it does not the lease ends, and what is stored by then says
    /// what is to be done.
    pub(super) async fn answer(&self, reply: &str, words: &[u8]) -> bool {
        const ATTEMPTS: u32 = 3;
        for _ in 0..ATTEMPTS {
            if self.there().is_err() {
                break;
            }
            let words = Bytes::copy_from_slice(words);
            let asked = self.0.client.request(reply.to_owned(), words);
            if matches!(tokio::time::timeout(PATIENCE, asked).await, Ok(Ok(_))) {
                return true;
            }
        }
        tracing::warn!("NATS did not hear what became of a message; it comes again");
        false
    }

    /// The consumer of callbacks.
    pub(super) async fn callbacks_consumer(&self) -> Result<PullConsumer, Error> {
        let mut consumers = self.0.consumers.lock().await;
        // No function has this name: there is a dot in each.
        if let Some(consumer) = consumers.get("") {
            return Ok(consumer.clone());
        }
        let names = &self.0.names;
        let config = pull::Config {
            max_ack_pending: super::streams::MOST_CALLBACKS,
            ..self.consumer_config(names.callbacks_consumer(), names.callback_subject())
        };
        let stream = self.stream(&Names::callbacks()).await?;
        let consumer = stream.create_consumer(config).await.map_err(unavailable)?;
        consumers.insert(String::new(), consumer.clone());
        Ok(consumer)
    }
}
