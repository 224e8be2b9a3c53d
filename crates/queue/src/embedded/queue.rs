//! The side where calls are put in and asked after.

use async_trait::async_trait;
use bytes::Bytes;
use redb::{ReadableTable, ReadableTableMetadata};

use super::tables::{BOOKS, CALLS, READY, RESULTS, RUNNING, Snapshot, WAITING};
use super::{Embedded, calls, dead};
use crate::queue::{
    Accepted, Books, CallStatus, DeadContent, DeadFilter, DeadLetter, Depth, NewCall, Queue, State,
};
use crate::record::Record;
use crate::{Answer, DEFAULT_QUEUE, DeadId, Envelope, Error, InvocationId, format, is_queue_name};

/// Most calls that are told of one call id.
const MOST_OF_A_CALL_ID: usize = 100;

#[async_trait]
impl Queue for Embedded {
    async fn accept(&self, new: NewCall) -> Result<Accepted, Error> {
        let limits = self.0.limits.clone();
        let envelope = format::encode_call(&new.call).to_bytes();
        self.0
            .writer
            .write(move |batch| calls::accept(batch, &new, &envelope, &limits))
            .await
    }

    async fn status(&self, id: InvocationId) -> Result<Option<CallStatus>, Error> {
        let record = self.snapshot()?.record(id)?;
        let record = record.map(|bytes| Record::read(&bytes)).transpose()?;
        Ok(record.map(|record| record.status(id)))
    }

    async fn by_call_id(&self, call_id: &str) -> Result<Vec<CallStatus>, Error> {
        let call_id = call_id.to_owned();
        self.look(move |snapshot| snapshot.by_call_id(&call_id))
            .await
    }

    async fn result(&self, id: InvocationId) -> Result<Option<Answer>, Error> {
        let kept = self.snapshot()?.result(id)?;
        let read = |bytes| format::decode_answer(&Envelope::from_bytes(&bytes)?);
        Ok(kept.map(read).transpose()?)
    }

    async fn cancel(&self, id: InvocationId) -> Result<bool, Error> {
        let call = id.to_u128();
        let was = self
            .0
            .writer
            .write(move |batch| calls::cancel(batch, call))
            .await?;
        if was == Some(State::Running) {
            // Nobody may be working just now.
            let _ = self.0.cancelled.send(id);
        }
        Ok(was.is_some())
    }

    async fn dead_letters(&self, filter: &DeadFilter) -> Result<Vec<DeadLetter>, Error> {
        let filter = filter.clone();
        self.look(move |snapshot| snapshot.dead_letters(&filter))
            .await
    }

    async fn dead_letter(&self, id: DeadId) -> Result<Option<(DeadLetter, DeadContent)>, Error> {
        Ok(self.snapshot()?.dead_letter(id)?)
    }

    async fn redrive(&self, id: DeadId) -> Result<Option<InvocationId>, Error> {
        let limits = self.0.limits.clone();
        self.0
            .writer
            .write(move |batch| dead::redrive(batch, id, &limits))
            .await
    }

    async fn purge(&self, id: DeadId) -> Result<bool, Error> {
        self.0
            .writer
            .write(move |batch| dead::purge(batch, id))
            .await
    }

    async fn books(&self) -> Result<Books, Error> {
        Ok(self.snapshot()?.books()?)
    }

    async fn depths(&self) -> Result<Vec<Depth>, Error> {
        self.look(|snapshot| snapshot.depths(true)).await
    }

    fn name(&self) -> &str {
        DEFAULT_QUEUE
    }

    /// All queues of this machine are one, whatever functions call theirs.
    fn has(&self, queue: &str) -> bool {
        is_queue_name(queue)
    }

    fn trouble(&self) -> Option<String> {
        self.0.place.trouble()
    }
}

impl Snapshot {
    fn record(&self, id: InvocationId) -> Result<Option<Bytes>, redb::Error> {
        let bytes = self.0.open_table(CALLS)?.get(id.to_u128())?;
        Ok(bytes.map(|bytes| Bytes::copy_from_slice(bytes.value())))
    }

    fn result(&self, id: InvocationId) -> Result<Option<Bytes>, redb::Error> {
        let bytes = self.0.open_table(RESULTS)?.get(id.to_u128())?;
        Ok(bytes.map(|bytes| Bytes::copy_from_slice(bytes.value())))
    }

    fn by_call_id(&self, call_id: &str) -> Result<Vec<CallStatus>, redb::Error> {
        let mut found = Vec::new();
        for entry in self.0.open_table(CALLS)?.iter()? {
            let (id, bytes) = entry?;
            let record = Record::read(bytes.value()).ok();
            let record = record.filter(|record| record.call_id == call_id);
            found.extend(record.map(|record| record.status(InvocationId::from_u128(id.value()))));
            if found.len() == MOST_OF_A_CALL_ID {
                break;
            }
        }
        Ok(found)
    }

    fn books(&self) -> Result<Books, redb::Error> {
        let books = self.0.open_table(BOOKS)?;
        let count = |what| -> Result<u64, redb::Error> {
            Ok(books.get(what)?.map_or(0, |count| count.value()))
        };
        Ok(Books {
            accepted: count(calls::ACCEPTED)?,
            succeeded: count(calls::SUCCEEDED)?,
            failed: count(calls::FAILED)?,
            dead: count(calls::DEAD)?,
            cancelled: count(calls::CANCELLED_COUNT)?,
            waiting: self.0.open_table(READY)?.len()?,
            running: self.0.open_table(RUNNING)?.len()?,
        })
    }

    /// Functions with calls that wait, and, where asked for, with calls that run.
    pub(super) fn depths(&self, with_running: bool) -> Result<Vec<Depth>, redb::Error> {
        let (waiting, ready) = (self.0.open_table(WAITING)?, self.0.open_table(READY)?);
        let mut depths = Vec::new();
        for entry in waiting.iter()? {
            let (function, count) = entry?;
            let function = function.value();
            let of_function = (function, 0, 0)..=(function, u64::MAX, u128::MAX);
            let first = ready.range(of_function)?.next().transpose()?;
            depths.push(Depth {
                function: function.to_owned(),
                waiting: count.value(),
                running: 0,
                due_ms: first.map(|(key, _)| key.value().1),
            });
        }
        if with_running {
            self.add_running(&mut depths)?;
        }
        Ok(depths)
    }

    fn add_running(&self, depths: &mut Vec<Depth>) -> Result<(), redb::Error> {
        let (running, calls) = (self.0.open_table(RUNNING)?, self.0.open_table(CALLS)?);
        for entry in running.iter()? {
            let Some(bytes) = calls.get(entry?.0.value())? else {
                continue;
            };
            let Ok(Record { function, .. }) = Record::read(bytes.value()) else {
                continue;
            };
            match depths.iter_mut().find(|depth| depth.function == function) {
                Some(depth) => depth.running += 1,
                None => depths.push(Depth {
                    function,
                    waiting: 0,
                    running: 1,
                    due_ms: None,
                }),
            }
        }
        Ok(())
    }
}
