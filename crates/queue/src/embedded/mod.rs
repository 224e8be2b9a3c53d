//! The queue on this machine's disk: for one process that holds everything.

mod callbacks;
mod calls;
mod database;
mod dead;
mod queue;
mod record;
mod sweep;
mod tables;
mod work;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, watch};

use crate::{Clock, Error, InvocationId, SteadyClock};
pub use database::OpenError;
use database::Place;
use tables::Snapshot;
use writer::Writer;

/// How long the status of a call is known after its end, and its answer kept.
const RESULT_TTL: Duration = Duration::from_secs(60 * 60);
/// How long a dead letter is kept.
const DEAD_TTL: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// Cancellations that a worker may be behind by before it has to look for itself.
const CANCELLATIONS: usize = 1024;

/// What a queue holds at most, and for how long.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most calls that wait.
    pub most_calls: u64,
    /// Most calls that wait of one function.
    pub most_calls_of_a_function: u64,
    /// How long a call's end is known, and its answer kept.
    pub result_ttl: Duration,
    /// How long an idempotency key is known.
    pub key_window: Duration,
    /// How long what was taken is held without a word.
    pub lease: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            most_calls: 1_000_000,
            most_calls_of_a_function: 200_000,
            result_ttl: RESULT_TTL,
            key_window: Duration::from_secs(10 * 60),
            lease: Duration::from_secs(60),
        }
    }
}

/// The queue on this machine's disk. One process at a time can have it open. Cheap to clone.
#[derive(Clone)]
pub struct Embedded(Arc<Inner>);

struct Inner {
    place: Arc<Place>,
    writer: Writer,
    clock: Arc<dyn Clock>,
    limits: Limits,
    changed: watch::Receiver<u64>,
    cancelled: broadcast::Sender<InvocationId>,
}

impl Embedded {
    /// Opens the queue in a directory, making both if need be, for their owner only. What was being made when the last
    /// process ended waits again.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(directory: &Path, limits: Limits) -> Result<Self, OpenError> {
        Self::open_at(directory, limits, Arc::new(SteadyClock::default()))
    }

    /// As [`Embedded::open`], by another clock.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_at(
        directory: &Path,
        limits: Limits,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let unusable = |reason: String| OpenError::Unusable {
            path: directory.to_owned(),
            reason,
        };
        let place = Arc::new(Place::open(directory)?);
        let now_ms = clock.now_ms();
        place
            .using(|database| {
                writer::transact(database, true, |tables| {
                    sweep::take_back(&mut writer::Batch {
                        tables,
                        leases: &mut Default::default(),
                        now_ms,
                    })
                })
            })
            .map_err(|error| unusable(error.to_string()))?;
        let changed = watch::Sender::new(0);
        let seen = changed.subscribe();
        let writer = Writer::start(Arc::clone(&place), Arc::clone(&clock), changed)
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Self(Arc::new(Inner {
            place,
            writer,
            clock,
            limits,
            changed: seen,
            cancelled: broadcast::Sender::new(CANCELLATIONS),
        })))
    }

    fn snapshot(&self) -> Result<Snapshot, Error> {
        self.0.place.snapshot()
    }

    /// Looks at what may be much, away from the threads that serve.
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Snapshot) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let snapshot = self.snapshot()?;
        let looked = tokio::task::spawn_blocking(move || look(&snapshot)).await;
        let looked = looked.map_err(|error| Error::Unavailable(error.to_string()))?;
        Ok(looked?)
    }
}
