//! The books, read from what the streams hold. Nothing in them is counted in memory and written back: a stream's last
//! place is how many messages it ever took, what is left of it is what waits or runs, and ends are counted by reading
//! them in order. That count is a function of a place in the stream of ends, whoever makes it, so it can be kept beside
//! its place, and a process that dies loses nothing but time.

use std::collections::HashMap;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::State as StreamState;
use bytes::Bytes;
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::Nats;
use super::end::EARLY;
use super::message::record_in;
use super::names::Names;
use super::publish::Draft;
use super::store::{Kept, unavailable};
use crate::queue::{Books, Depth, State};
use crate::{Envelope, Error, FormatError};

/// So many ends are read one by one; for more a consumer is made.
const FEW: u64 = 32;
const BATCH: usize = 1000;
/// After so many further ends the count is kept.
const SAVED_EVERY: u64 = 1000;

/// How the calls up to a place ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    /// The place in the stream of ends: so many have ended.
    position: u64,
    failed: u64,
    dead: u64,
    cancelled: u64,
    /// Calls that were put off and ended before they were among the others.
    early: u64,
    #[serde(skip)]
    saved: u64,
    #[serde(skip)]
    loaded: bool,
}

impl Tally {
    /// # Errors
    /// When a newer program stored it: what it says may mean something else.
    fn add(&mut self, kept: &Kept) -> Result<(), FormatError> {
        let state = match record_in(&kept.envelope) {
            Ok(record) => Some(record.state),
            Err(error @ FormatError::Newer(_)) => return Err(error),
            Err(_) => None,
        };
        self.position = kept.sequence;
        self.early += u64::from(kept.envelope.get(EARLY).is_some());
        match state {
            Some(State::Failed) => self.failed += 1,
            Some(State::Dead) => self.dead += 1,
            Some(State::Cancelled) => self.cancelled += 1,
            _ => {}
        }
        Ok(())
    }
}

/// What is known of the calls that were taken more than once.
#[derive(Default)]
pub(super) struct Retries {
    /// The place in the bucket up to which it is known.
    position: u64,
    /// Calls that wait to be made again: their function, and when they are due.
    waiting: HashMap<String, (String, u64)>,
}

impl Retries {
    fn add(&mut self, kept: &Kept) {
        self.position = kept.sequence;
        let call = kept.subject.clone();
        match record_in(&kept.envelope) {
            Ok(record) if record.state == State::Queued => {
                self.waiting.insert(call, (record.function, record.due_ms));
            }
            _ => drop(self.waiting.remove(&call)),
        }
    }

    fn of(&self, function: &str) -> impl Iterator<Item = u64> {
        let of = self.waiting.values().filter(move |(of, _)| of == function);
        of.map(|(_, due_ms)| *due_ms)
    }
}

/// One function's consumer, as far as it matters here.
struct Line {
    /// Handed out and not settled, and those that wait to be made again.
    pending: u64,
    /// The last one that was handed out.
    handed_out: u64,
}

impl Nats {
    pub(super) async fn balance(&self) -> Result<Books, Error> {
        let names = &self.0.names;
        // A call's end is stored before the call leaves the stream, so ends are read last: what has left has an end.
        let held = self.held().await?;
        let calls = self.state(&names.calls()).await?;
        let delayed = self.state(&names.delayed()).await?;
        let ends = self.state(&names.ends()).await?;
        let tally = self.tally(ends.last_sequence).await?;
        let left = calls.last_sequence.saturating_sub(calls.messages);
        let ended = tally.position - tally.early;
        // Their end is stored, and they are on their way out.
        let leaving = ended.saturating_sub(left);
        let live = (calls.messages + delayed.messages).saturating_sub(leaving);
        let running = held.min(live);
        Ok(Books {
            accepted: calls.last_sequence + delayed.messages + tally.early,
            succeeded: tally.position - tally.failed - tally.dead - tally.cancelled,
            failed: tally.failed,
            dead: tally.dead,
            cancelled: tally.cancelled,
            waiting: live - running,
            running,
        })
    }

    /// Calls that are being made, of all functions.
    async fn held(&self) -> Result<u64, Error> {
        let lines = self.lines().await?;
        let pending: u64 = lines.values().map(|line| line.pending).sum();
        let retries = self.0.retries.lock().await;
        self.read_retries(retries)
            .await
            .map(|retries| pending.saturating_sub(retries.waiting.len() as u64))
    }

    pub(super) async fn state(&self, stream: &str) -> Result<StreamState, Error> {
        let stream = self.stream(stream).await?;
        Ok(stream.get_info().await.map_err(unavailable)?.state)
    }

    /// The consumers, by name.
    async fn lines(&self) -> Result<HashMap<String, Line>, Error> {
        let stream = self.stream(&self.0.names.calls()).await?;
        let mut consumers = stream.consumers();
        let mut lines = HashMap::new();
        while let Some(info) = consumers.try_next().await.map_err(unavailable)? {
            let line = Line {
                pending: info.num_ack_pending as u64,
                handed_out: info.delivered.stream_sequence,
            };
            lines.insert(info.name, line);
        }
        Ok(lines)
    }

    /// The last place from which a call was handed out.
    pub(super) async fn last_handed_out(&self) -> Result<u64, Error> {
        let lines = self.lines().await?;
        Ok(lines
            .values()
            .map(|line| line.handed_out)
            .max()
            .unwrap_or(0))
    }

    async fn read_retries<'a>(
        &self,
        mut retries: tokio::sync::MutexGuard<'a, Retries>,
    ) -> Result<tokio::sync::MutexGuard<'a, Retries>, Error> {
        let names = &self.0.names;
        let (stream, subject) = (names.attempts(), names.attempt_subject("*.*.*"));
        let last = self.state(&stream).await?.last_sequence;
        while retries.position < last {
            match self
                .next_of(&stream, &subject, retries.position + 1)
                .await?
            {
                Some(kept) => retries.add(&kept),
                None => retries.position = last,
            }
        }
        Ok(retries)
    }

    /// Messages of every function, held or not.
    pub(super) async fn counts(&self) -> Result<HashMap<String, u64>, Error> {
        let names = &self.0.names;
        let stream = self.stream(&names.calls()).await?;
        let subjects = stream.info_with_subjects(names.calls_subjects()).await;
        let mut subjects = subjects.map_err(unavailable)?;
        let mut counts = HashMap::new();
        while let Some((subject, count)) = subjects.try_next().await.map_err(unavailable)? {
            if let Some(function) = names.function(&subject) {
                counts.insert(function, count as u64);
            }
        }
        Ok(counts)
    }

    /// Depths of all functions. Calls that were put off are not among them until they are due.
    pub(super) async fn all_depths(&self) -> Result<Vec<Depth>, Error> {
        let names = &self.0.names;
        let counts = self.counts().await?;
        if counts.is_empty() {
            return Ok(Vec::new());
        }
        let lines = self.lines().await?;
        let retries = self.read_retries(self.0.retries.lock().await).await?;
        let mut depths = Vec::new();
        for (function, count) in counts {
            let line = lines.get(&names.consumer(&function));
            let (pending, handed_out) = line.map_or((0, 0), |line| (line.pending, line.handed_out));
            let again = retries.of(&function).count() as u64;
            let running = pending.saturating_sub(again).min(count);
            let subject = names.subject(&function);
            let first = self
                .next_of(&names.calls(), &subject, handed_out + 1)
                .await?;
            let due_ms = match first {
                Some(first) => Some(first.at_ms),
                None => retries.of(&function).min(),
            };
            depths.push(Depth {
                function,
                waiting: count - running,
                running,
                due_ms,
            });
        }
        Ok(depths)
    }

    /// How calls ended, up to this place or further.
    async fn tally(&self, until: u64) -> Result<Tally, Error> {
        let mut tally = self.0.tally.lock().await;
        if !tally.loaded {
            *tally = self.saved_tally().await?;
        }
        if tally.position < until {
            self.count_ends(&mut tally, until).await?;
        }
        if tally.position >= tally.saved + SAVED_EVERY {
            self.save(*tally).await?;
            tally.saved = tally.position;
        }
        Ok(*tally)
    }

    async fn count_ends(&self, tally: &mut Tally, until: u64) -> Result<(), Error> {
        let names = &self.0.names;
        let (stream, subject) = (names.ends(), names.end_subject(">"));
        if until - tally.position > FEW {
            self.count_many(tally, until).await?;
        }
        while tally.position < until {
            match self.next_of(&stream, &subject, tally.position + 1).await? {
                Some(kept) => tally.add(&kept)?,
                // They are not known any more, and were not counted in time: they count as successes.
                None => tally.position = until,
            }
        }
        Ok(())
    }

    async fn count_many(&self, tally: &mut Tally, until: u64) -> Result<(), Error> {
        let stream = self.stream(&self.0.names.ends()).await?;
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: tally.position + 1,
            },
            ack_policy: AckPolicy::None,
            headers_only: true,
            memory_storage: true,
            inactive_threshold: std::time::Duration::from_secs(10),
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await.map_err(unavailable)?;
        while tally.position < until {
            let batch = self.fetch(&consumer, BATCH).await?;
            if batch.is_empty() {
                return Ok(());
            }
            for handed in &batch {
                tally.add(&handed.kept)?;
            }
        }
        Ok(())
    }

    async fn saved_tally(&self) -> Result<Tally, Error> {
        let subject = self.0.names.counts_subject();
        let kept = self.last_of(&Names::counts(), &subject).await?;
        if let Some(kept) = &kept {
            kept.envelope.version()?;
        }
        let saved = kept.and_then(|kept| serde_json::from_slice(&kept.envelope.payload).ok());
        let saved: Tally = saved.unwrap_or_default();
        Ok(Tally {
            saved: saved.position,
            loaded: true,
            ..saved
        })
    }

    async fn save(&self, tally: Tally) -> Result<(), Error> {
        let text = serde_json::to_vec(&tally).map_err(unavailable)?;
        let draft = Draft {
            subject: self.0.names.counts_subject(),
            id: format!("{}:{}", self.0.settings.queue, tally.position),
            envelope: Envelope::new(Bytes::from(text)),
        };
        self.publish(&draft).await.map(drop)
    }
}
