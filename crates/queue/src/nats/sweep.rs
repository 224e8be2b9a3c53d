//! What is left over. A server that is killed forgets the last messages that it took out of a stream, and remembers that
//! they were settled: they stay, and nobody is handed them again. They are looked for whenever a connection is made.

use std::sync::atomic::Ordering;

use super::Nats;
use super::message::{DUE, Message};
use super::names::Names;
use super::store::{Kept, unavailable};
use crate::Error;

/// Messages that are looked at in one go.
const MOST_AT_ONCE: usize = 200;

/// How far the streams were looked through since a connection was made.
#[derive(Default)]
pub(super) struct Swept {
    connections: u64,
    calls: From,
    delayed: From,
    callbacks: From,
    last_callback: u64,
}

/// Where to go on in a stream.
#[derive(Clone, Copy, Default)]
enum From {
    #[default]
    Done,
    Place(u64),
}

impl Nats {
    /// Takes out some of what is left over.
    pub(super) async fn sweep(&self, swept: &mut Swept) -> Result<(), Error> {
        let connections = self.0.connections.count.load(Ordering::Relaxed);
        if connections != swept.connections {
            let first = From::Place(1);
            *swept = Swept {
                connections,
                calls: first,
                delayed: first,
                callbacks: first,
                last_callback: self.state(&Names::callbacks()).await?.last_sequence,
            };
        }
        let mut taken_out = 0;
        if let From::Place(from) = swept.calls {
            swept.calls = self.sweep_calls(from, &mut taken_out).await?;
        }
        if let From::Place(from) = swept.delayed {
            swept.delayed = self.sweep_delayed(from, &mut taken_out).await?;
        }
        if let From::Place(from) = swept.callbacks {
            swept.callbacks = self
                .sweep_callbacks(from, swept.last_callback, &mut taken_out)
                .await?;
        }
        if taken_out > 0 {
            tracing::info!(
                messages = taken_out,
                "messages of what was over were left in the streams; they are taken out"
            );
        }
        Ok(())
    }

    /// Calls whose end is stored. None of those that were never handed out has one.
    async fn sweep_calls(&self, mut from: u64, taken_out: &mut u64) -> Result<From, Error> {
        let names = &self.0.names;
        let (stream, subjects) = (names.calls(), names.calls_subjects());
        let last = self.last_handed_out().await?;
        for _ in 0..MOST_AT_ONCE {
            let next = self.next_of(&stream, &subjects, from).await?;
            let Some(kept) = next.filter(|kept| kept.sequence <= last) else {
                return Ok(From::Done);
            };
            let place = kept.sequence;
            from = place + 1;
            let message = Message::of(kept, names, false);
            if let Some(end) = self.end_of(message.id).await? {
                self.finish(&message, &end.envelope).await?;
                *taken_out += u64::from(self.remove(&stream, place).await?);
            }
        }
        Ok(From::Place(from))
    }

    /// Calls that were put off, and are among the others or have ended.
    async fn sweep_delayed(&self, mut from: u64, taken_out: &mut u64) -> Result<From, Error> {
        let names = &self.0.names;
        let (stream, subject) = (names.delayed(), names.delayed_subject());
        for _ in 0..MOST_AT_ONCE {
            let Some(kept) = self.next_of(&stream, &subject, from).await? else {
                return Ok(From::Done);
            };
            let place = kept.sequence;
            from = place + 1;
            if self.is_over(kept).await? {
                *taken_out += u64::from(self.remove(&stream, place).await?);
            }
        }
        Ok(From::Place(from))
    }

    async fn is_over(&self, kept: Kept) -> Result<bool, Error> {
        let place = kept.sequence;
        let due_ms = kept.envelope.number::<u64>(DUE).ok().flatten();
        if due_ms.is_some_and(|due_ms| due_ms <= self.now()) && self.moved(place).await?.is_some() {
            return Ok(true);
        }
        let message = Message::of(kept, &self.0.names, true);
        let Some(end) = self.end_of(message.id).await? else {
            return Ok(false);
        };
        self.finish(&message, &end.envelope).await?;
        Ok(true)
    }

    /// Callbacks up to the place up to which all are settled. Those after it are left until it has passed them, unless they
    /// came after the connection was made.
    async fn sweep_callbacks(
        &self,
        mut from: u64,
        last: u64,
        taken_out: &mut u64,
    ) -> Result<From, Error> {
        let (stream, subject) = (Names::callbacks(), self.0.names.callback_subject());
        let consumer = self.callbacks_consumer().await?;
        let info = consumer.get_info().await.map_err(unavailable)?;
        let settled = info.ack_floor.stream_sequence;
        for _ in 0..MOST_AT_ONCE {
            let next = self.next_of(&stream, &subject, from).await?;
            let Some(kept) = next.filter(|kept| kept.sequence <= last) else {
                return Ok(From::Done);
            };
            from = kept.sequence;
            if from > settled {
                break;
            }
            *taken_out += u64::from(self.remove(&stream, from).await?);
            from += 1;
        }
        Ok(From::Place(from))
    }
}
