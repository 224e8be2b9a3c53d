//! What a worker's side of the queue does by itself, as long as it lives.

use std::sync::atomic::Ordering;
use std::sync::{PoisonError, Weak};
use std::time::Duration;

use async_nats::jetstream::consumer::{PullConsumer, pull};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::sleep;

use super::message::{DUE, Message, PLACE};
use super::publish::Draft;
use super::store::unavailable;
use super::sweep::Swept;
use super::take::{ACK, Handed};
use super::{Inner, Nats};
use crate::{Envelope, Error};

/// How often is looked for calls that nobody told of.
const LOOK: Duration = Duration::from_secs(1);
/// Calls that were put off are looked at so many at once.
const MOVED_AT_ONCE: usize = 100;
/// How often is looked for bodies that are nobody's, and how old they have to be.
const SWEEP: Duration = Duration::from_secs(60 * 60);
/// How long a call waits to be moved again where the queue is full.
const FULL: Duration = Duration::from_secs(1);

impl Nats {
    /// Begins to hear of calls, of cancellations and of the end of delays. For workers.
    pub(super) async fn begin_work(&self) {
        let mut heard = Heard::default();
        // Where that cannot be told yet, nothing can have been taken yet either.
        let _ = self.catch_up(&mut heard).await;
        let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let weak = || std::sync::Arc::downgrade(&self.0);
        tasks.spawn(hear_of_calls(weak()));
        tasks.spawn(hear_of_cancellations(weak()));
        tasks.spawn(look(weak(), heard));
        tasks.spawn(end_delays(weak()));
        tasks.spawn(sweep(weak()));
    }
}

fn still(weak: &Weak<Inner>) -> Option<Nats> {
    weak.upgrade().map(Nats)
}

async fn subscribed(
    weak: &Weak<Inner>,
    subject: fn(&Nats) -> String,
) -> Option<async_nats::Subscriber> {
    loop {
        let nats = still(weak)?;
        let subject = subject(&nats);
        let client = nats.0.client.clone();
        drop(nats);
        match client.subscribe(subject).await {
            Ok(subscriber) => return Some(subscriber),
            Err(_) => sleep(LOOK).await,
        }
    }
}

async fn hear_of_calls(weak: Weak<Inner>) {
    let subject = |nats: &Nats| nats.0.names.wake_subject("*");
    let Some(mut told) = subscribed(&weak, subject).await else {
        return;
    };
    while let Some(message) = told.next().await {
        let Some(nats) = still(&weak) else {
            return;
        };
        if message.subject.ends_with(".callback") {
            nats.0.board.wake_callbacks();
        } else if let Ok(function) = std::str::from_utf8(&message.payload) {
            nats.0.board.wake(function, nats.now());
        }
        nats.tick();
    }
}

async fn hear_of_cancellations(weak: Weak<Inner>) {
    let subject = |nats: &Nats| nats.0.names.cancel_subject("*");
    let Some(mut told) = subscribed(&weak, subject).await else {
        return;
    };
    while let Some(message) = told.next().await {
        let Some(nats) = still(&weak) else {
            return;
        };
        let id = message.subject.rsplit('.').next().map(str::parse);
        if let Some(Ok(id)) = id {
            // Nobody may be working just now.
            let _ = nats.0.cancelled.send(id);
        }
    }
}

/// Up to where cancellations are known, and over which connection they are heard of.
#[derive(Default)]
struct Heard {
    connections: u64,
    place: u64,
}

/// Looks for what nobody told of: word of it may have been lost, and some put calls into the stream without a word.
async fn look(weak: Weak<Inner>, mut heard: Heard) {
    let mut swept = Swept::default();
    let mut letters = None;
    loop {
        let Some(nats) = still(&weak) else {
            return;
        };
        if nats.there().is_ok()
            && let Err(error) = nats.count().await
        {
            tracing::debug!(%error, "calls cannot be counted");
        }
        if nats.there().is_ok()
            && let Err(error) = nats.catch_up(&mut heard).await
        {
            tracing::debug!(%error, "cancellations cannot be looked at");
        }
        if nats.there().is_ok()
            && let Err(error) = nats.sweep(&mut swept).await
        {
            tracing::debug!(%error, "what is left over cannot be looked for");
        }
        if nats.there().is_ok()
            && let Err(error) = nats.count_evicted(&mut letters).await
        {
            tracing::debug!(%error, "dead letters cannot be counted");
        }
        drop(nats);
        sleep(LOOK).await;
    }
}

async fn end_delays(weak: Weak<Inner>) {
    let mut consumer = None;
    loop {
        let Some(nats) = still(&weak) else {
            return;
        };
        let moved = match &consumer {
            Some(consumer) => nats.move_due(consumer).await,
            None => match nats.delayed_consumer().await {
                Ok(made) => {
                    consumer = Some(made);
                    Ok(())
                }
                Err(error) => Err(error),
            },
        };
        if let Err(error) = moved {
            tracing::debug!(%error, "calls that were put off cannot be looked at");
            consumer = None;
            drop(nats);
            sleep(LOOK).await;
        }
    }
}

async fn sweep(weak: Weak<Inner>) {
    loop {
        sleep(SWEEP).await;
        let Some(nats) = still(&weak) else {
            return;
        };
        match nats.sweep_bodies(SWEEP).await {
            Ok(0) => {}
            Ok(bodies) => tracing::info!(bodies, "bodies that no call had were removed"),
            Err(error) => tracing::debug!(%error, "bodies cannot be looked at"),
        }
    }
}

impl Nats {
    async fn count(&self) -> Result<(), Error> {
        let counts = self.counts().await?;
        self.0.board.counted(&counts, self.now());
        let callbacks = self.count_callbacks().await?;
        if callbacks > 0 {
            self.0.board.wake_callbacks();
        }
        if callbacks > 0 || !counts.is_empty() {
            self.tick();
        }
        Ok(())
    }

    /// Tells of calls that were cancelled since the last connection was made: what was said while there was none was not
    /// heard.
    async fn catch_up(&self, heard: &mut Heard) -> Result<(), Error> {
        let connections = self.0.connections.count.load(Ordering::Relaxed);
        if connections == heard.connections {
            return Ok(());
        }
        let names = &self.0.names;
        let (stream, subject) = (names.cancels(), names.cancel_subject("*"));
        let last = self.state(&stream).await?.last_sequence;
        let first = heard.connections == 0;
        while !first && heard.place < last {
            let Some(mark) = self.next_of(&stream, &subject, heard.place + 1).await? else {
                break;
            };
            heard.place = mark.sequence;
            if let Some(Ok(id)) = mark.subject.rsplit('.').next().map(str::parse) {
                // Nobody may be working just now.
                let _ = self.0.cancelled.send(id);
            }
        }
        *heard = Heard {
            connections,
            place: last,
        };
        Ok(())
    }

    async fn delayed_consumer(&self) -> Result<PullConsumer, Error> {
        let names = &self.0.names;
        let config = pull::Config {
            // All of them are given back until they are due.
            max_ack_pending: -1,
            ..self.consumer_config("mover".to_owned(), names.delayed_subject())
        };
        let stream = self.stream(&names.delayed()).await?;
        stream.create_consumer(config).await.map_err(unavailable)
    }

    /// Waits for calls that were put off, moves those that are due, and gives the others back until they are.
    async fn move_due(&self, consumer: &PullConsumer) -> Result<(), Error> {
        self.there()?;
        let mut handed = self.wait_for(consumer, LOOK).await?;
        if !handed.is_empty() {
            handed.extend(self.fetch(consumer, MOVED_AT_ONCE).await?);
        }
        for one in handed {
            let due_ms = one.kept.envelope.number::<u64>(DUE).ok().flatten();
            let now = self.now();
            match due_ms.filter(|due_ms| *due_ms > now) {
                Some(due_ms) => {
                    let left = Duration::from_millis(due_ms - now);
                    self.put_off(&one.reply, left).await;
                }
                None => {
                    let reply = one.reply.clone();
                    if let Err(error) = self.move_one(one).await {
                        tracing::warn!(%error, "a call that is due cannot be moved to the others yet");
                        self.put_off(&reply, FULL).await;
                    }
                }
            }
        }
        Ok(())
    }

    /// Puts a call among the others, once, under the name that it has.
    async fn move_one(&self, handed: Handed) -> Result<(), Error> {
        let (place, reply) = (handed.kept.sequence, handed.reply);
        let message = Message::of(handed.kept, &self.0.names, true);
        let names = &self.0.names;
        if self.end_of(message.id).await?.is_none() && self.moved(place).await?.is_none() {
            let mut envelope = message.envelope.clone();
            envelope.push(PLACE, message.id);
            let draft = Draft {
                subject: names.subject(&message.function),
                id: format!("delayed:{place}"),
                envelope,
            };
            let ack = self.publish(&draft).await?;
            self.note_move(place, ack.sequence).await?;
            self.wake("call", &message.function).await;
        }
        self.answer(&reply, ACK).await;
        Ok(())
    }

    pub(super) async fn moved(&self, place: u64) -> Result<Option<u64>, Error> {
        let names = &self.0.names;
        let subject = names.attempt_subject(&format!("m.{place}"));
        let kept = self.last_of(&names.attempts(), &subject).await?;
        Ok(kept.map(|kept| kept.sequence))
    }

    /// Notes where a call is now.
    async fn note_move(&self, from: u64, to: u64) -> Result<(), Error> {
        let key = format!("m.{from}");
        let draft = Draft {
            subject: self.0.names.attempt_subject(&key),
            id: format!("{key}:moved"),
            envelope: Envelope::new(Bytes::from(to.to_string())),
        };
        self.publish(&draft).await.map(drop)
    }
}
