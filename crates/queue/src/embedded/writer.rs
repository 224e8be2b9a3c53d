//! The one thread that writes: whatever has been asked for meanwhile goes into one transaction, and one sync to the disk
//! stands for all of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use redb::{Database, StorageError};
use tokio::sync::{oneshot, watch};

use super::database::Place;
use super::record::Failed;
use super::tables::Tables;
use crate::Clock;
use crate::Error;

/// Most requests in one transaction: bounds how long the first of them waits for the last.
const MOST_AT_ONCE: usize = 512;
/// How often leases that ended and what is to be forgotten are looked for.
const SWEEP: Duration = Duration::from_millis(500);

/// What a request works on.
pub(super) struct Batch<'b, 't> {
    pub(super) tables: &'b mut Tables<'t>,
    /// Ends of leases, in the clock's milliseconds. In memory only: who ends with this process holds nothing any more.
    pub(super) leases: &'b mut HashMap<u128, u64>,
    pub(super) now_ms: u64,
}

/// One request, with somebody who waits for its end.
trait Job: Send {
    fn run(&mut self, batch: &mut Batch<'_, '_>) -> Result<(), StorageError>;
    fn answer(self: Box<Self>, stored: Result<(), Error>);
    fn writes(&self) -> bool;
}

struct Request<F, T> {
    writes: bool,
    act: Option<F>,
    result: Option<Result<T, Error>>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<F, T> Job for Request<F, T>
where
    F: FnOnce(&mut Batch<'_, '_>) -> Result<T, Failed> + Send,
    T: Send,
{
    fn run(&mut self, batch: &mut Batch<'_, '_>) -> Result<(), StorageError> {
        let Some(act) = self.act.take() else {
            return Ok(());
        };
        self.result = Some(match act(batch) {
            Ok(value) => Ok(value),
            Err(Failed::Request(error)) => Err(error),
            Err(Failed::Store(error)) => return Err(error),
        });
        Ok(())
    }

    fn answer(self: Box<Self>, stored: Result<(), Error>) {
        let lost = || {
            Err(Error::Unavailable(
                "the request was not looked at".to_owned(),
            ))
        };
        let result = match stored {
            Ok(()) => self.result.unwrap_or_else(lost),
            Err(error) => Err(error),
        };
        // Whoever asked may have gone.
        let _ = self.reply.send(result);
    }

    fn writes(&self) -> bool {
        self.writes
    }
}

/// Where requests are put. When all of these are gone the thread ends.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: Sender<Box<dyn Job>>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(
        place: Arc<Place>,
        clock: Arc<dyn Clock>,
        changed: watch::Sender<u64>,
    ) -> std::io::Result<Self> {
        let (jobs, requests) = std::sync::mpsc::channel();
        let mut thread = Thread {
            place,
            clock,
            changed,
            leases: HashMap::new(),
            swept: Instant::now(),
        };
        std::thread::Builder::new()
            .name("queue-writer".to_owned())
            .spawn(move || thread.run(&requests))?;
        Ok(Self { jobs })
    }

    /// Has a change made, and waits until it is on the disk.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Batch<'_, '_>) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Error> {
        self.request(true, act).await
    }

    /// Looks at what is stored, and at what this thread alone knows, in turn with changes. Tables are not to be changed.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Batch<'_, '_>) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Error> {
        self.request(false, act).await
    }

    async fn request<T: Send + 'static>(
        &self,
        writes: bool,
        act: impl FnOnce(&mut Batch<'_, '_>) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Error> {
        let gone = |_| Error::Unavailable("the store has stopped".to_owned());
        let (reply, answer) = oneshot::channel();
        let request = Request {
            writes,
            act: Some(act),
            result: None,
            reply,
        };
        self.jobs
            .send(Box::new(request))
            .map_err(|_| Error::Unavailable("the store has stopped".to_owned()))?;
        answer.await.map_err(gone)?
    }
}

struct Thread {
    place: Arc<Place>,
    clock: Arc<dyn Clock>,
    changed: watch::Sender<u64>,
    leases: HashMap<u128, u64>,
    swept: Instant,
}

impl Thread {
    fn run(&mut self, requests: &Receiver<Box<dyn Job>>) {
        loop {
            let patience = SWEEP.saturating_sub(self.swept.elapsed());
            let mut jobs = Vec::new();
            match requests.recv_timeout(patience) {
                Ok(first) => jobs.push(first),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            jobs.extend(requests.try_iter().take(MOST_AT_ONCE - 1));
            let sweeps = self.swept.elapsed() >= SWEEP;
            if jobs.is_empty() && !self.has_to_sweep() {
                self.swept = Instant::now();
                continue;
            }
            let writes = sweeps || jobs.iter().any(|job| job.writes());
            let stored = self.store(&mut jobs, sweeps, writes);
            if sweeps {
                self.swept = Instant::now();
            }
            for job in jobs {
                job.answer(stored.clone());
            }
            if writes {
                self.changed.send_modify(|version| *version += 1);
            }
        }
    }

    /// One transaction, and the end of the store's use where it fails: the next one opens it anew.
    fn store(
        &mut self,
        jobs: &mut [Box<dyn Job>],
        sweeps: bool,
        writes: bool,
    ) -> Result<(), Error> {
        let place = Arc::clone(&self.place);
        let now_ms = self.clock.now_ms();
        let leases = &mut self.leases;
        place.using(|database| {
            transact(database, writes, |tables| {
                let mut batch = Batch {
                    tables,
                    leases,
                    now_ms,
                };
                if sweeps {
                    super::sweep::sweep(&mut batch)?;
                }
                jobs.iter_mut().try_for_each(|job| job.run(&mut batch))
            })
        })
    }

    fn has_to_sweep(&self) -> bool {
        let now_ms = self.clock.now_ms();
        self.leases.values().any(|end| *end <= now_ms)
            || self
                .place
                .using(|database| super::sweep::is_due(database, now_ms))
                == Ok(true)
    }
}

/// Makes changes in one transaction, synced when this returns; or only looks.
pub(super) fn transact(
    database: &Database,
    writes: bool,
    change: impl FnOnce(&mut Tables<'_>) -> Result<(), StorageError>,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut tables = Tables::open(&transaction)?;
        change(&mut tables)?;
    }
    if writes {
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(())
}
