//! What a queue does for whoever fills it and asks it, and for whoever works it off. Both back-ends answer both.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};

use crate::call::{Answer, Callback, QueuedCall};
use crate::envelope::FormatError;
use crate::settlement::Verdict;
use crate::{DeadId, InvocationId};

/// Why a queue did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It holds as many calls as it may.
    #[error("the queue is full: {0} calls wait in it")]
    Full(u64),
    /// It holds as many calls of this function as it may.
    #[error("the queue is full for this function: {0} of its calls wait in it")]
    FunctionFull(u64),
    /// The call is larger than the queue takes.
    #[error("the call is larger than the queue takes: its body has {0} bytes")]
    TooLarge(u64),
    /// It cannot be used just now; nothing was stored, as far as anybody knows.
    #[error("the queue cannot be used: {0}")]
    Unavailable(String),
    /// Something stored in it cannot be read.
    #[error("stored in the queue, but {0}")]
    Format(#[from] FormatError),
}

/// A call to be accepted.
#[derive(Clone, Debug)]
pub struct NewCall {
    /// The call.
    pub call: QueuedCall,
    /// How long it has to wait before it may be made.
    pub delay: Duration,
    /// What tells that it is the same call as one that was accepted already: a hash of the function and the caller's key.
    pub idempotency: Option<[u8; 32]>,
}

/// The promise that a 202 makes: the call is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The call's name; that of the first one where it is the same call again.
    pub id: InvocationId,
    /// Whether it was accepted before.
    pub duplicate: bool,
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It waits: to be made, to be made again, or for its time to come.
    Queued,
    /// It is being made.
    Running,
    /// It was answered with less than 400.
    Succeeded,
    /// It was refused for good, and is no dead letter.
    Failed,
    /// It is a dead letter.
    Dead,
    /// It was cancelled.
    Cancelled,
}

impl State {
    /// Whether it stays so.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// What a queue tells of one call. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallStatus {
    /// Its name.
    pub id: InvocationId,
    /// The caller's name for it.
    pub call_id: String,
    /// `name.namespace`.
    pub function: String,
    /// The queue it was put in.
    pub queue: String,
    /// Where it stands.
    pub state: State,
    /// Attempts that failed.
    pub failures: u32,
    /// How often it was taken off the queue.
    pub deliveries: u32,
    /// When it was accepted.
    pub accepted_ms: u64,
    /// When it may be made, where it is queued.
    pub due_ms: u64,
    /// When the last attempt began.
    pub started_ms: Option<u64>,
    /// When it got its final state.
    pub ended_ms: Option<u64>,
    /// The last status that was seen.
    pub last_status: Option<u16>,
    /// Why it is a dead letter.
    pub reason: Option<String>,
    /// Whether its answer is kept, or will be.
    pub keeps_result: bool,
}

/// What became of an id that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its name.
    pub id: DeadId,
    /// `name.namespace`.
    pub function: String,
    /// The caller's name for the call.
    pub call_id: String,
    /// Why it is one: `retries_exhausted`, `http_400` …
    pub reason: String,
    /// When it became one.
    pub dead_ms: u64,
    /// Attempts that failed.
    pub failures: u32,
    /// The last status that was seen.
    pub last_status: Option<u16>,
}

/// Which dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadFilter {
    /// Of this function only, `name.namespace`.
    pub function: Option<String>,
    /// With this reason only.
    pub reason: Option<String>,
    /// After this one, in order.
    pub after: Option<DeadId>,
    /// At most so many.
    pub most: usize,
}

/// The books: what was accepted is somewhere. Counted in calls, callbacks apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Ever accepted; a redrive is a new accept.
    pub accepted: u64,
    /// Ever succeeded.
    pub succeeded: u64,
    /// Ever failed without becoming a dead letter.
    pub failed: u64,
    /// Ever become a dead letter.
    pub dead: u64,
    /// Ever cancelled.
    pub cancelled: u64,
    /// Waiting now.
    pub waiting: u64,
    /// Running now.
    pub running: u64,
}

impl Books {
    /// Accepted, and nowhere: 0, or something is wrong.
    #[must_use]
    pub fn drift(&self) -> i64 {
        let found =
            self.succeeded + self.failed + self.dead + self.cancelled + self.waiting + self.running;
        self.accepted.wrapping_sub(found).cast_signed()
    }
}

/// Calls of one function in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Depth {
    /// `name.namespace`.
    pub function: String,
    /// Waiting, whether due or not.
    pub waiting: u64,
    /// Being made.
    pub running: u64,
    /// When the call that has been due for longest became so, in milliseconds since 1970; in the future where none is due.
    pub due_ms: Option<u64>,
}

/// The side of a queue where calls are put in and asked after.
#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// Stores a call; it survives the end of this process when this returns.
    ///
    /// # Errors
    /// When it is not stored. One that was unavailable may have stored it all the same.
    async fn accept(&self, new: NewCall) -> Result<Accepted, Error>;

    /// Where a call stands. A finished one is known for a while.
    ///
    /// # Errors
    /// See [`Error`].
    async fn status(&self, id: InvocationId) -> Result<Option<CallStatus>, Error>;

    /// The calls that a caller gave this name, oldest first, a hundred at most. It may look at everything that is stored.
    ///
    /// # Errors
    /// See [`Error`].
    async fn by_call_id(&self, call_id: &str) -> Result<Vec<CallStatus>, Error>;

    /// The answer, where it was to be kept and still is.
    ///
    /// # Errors
    /// See [`Error`].
    async fn result(&self, id: InvocationId) -> Result<Option<Answer>, Error>;

    /// Cancels a call: one that waits is not made, one that runs is aborted. Whether there was anything to cancel.
    ///
    /// # Errors
    /// See [`Error`].
    async fn cancel(&self, id: InvocationId) -> Result<bool, Error>;

    /// Dead letters, oldest first.
    ///
    /// # Errors
    /// See [`Error`].
    async fn dead_letters(&self, filter: &DeadFilter) -> Result<Vec<DeadLetter>, Error>;

    /// One dead letter with what it holds: the call, or the callback, or an error where neither can be read.
    ///
    /// # Errors
    /// See [`Error`].
    async fn dead_letter(&self, id: DeadId) -> Result<Option<(DeadLetter, DeadContent)>, Error>;

    /// Puts a dead letter back into the queue, as a new call, and gives the name it has now.
    ///
    /// # Errors
    /// See [`Error`].
    async fn redrive(&self, id: DeadId) -> Result<Option<InvocationId>, Error>;

    /// Drops a dead letter. Whether there was one.
    ///
    /// # Errors
    /// See [`Error`].
    async fn purge(&self, id: DeadId) -> Result<bool, Error>;

    /// The books, read from what is stored.
    ///
    /// # Errors
    /// See [`Error`].
    async fn books(&self) -> Result<Books, Error>;

    /// Every function that has calls waiting or running.
    ///
    /// # Errors
    /// See [`Error`].
    async fn depths(&self) -> Result<Vec<Depth>, Error>;

    /// Whether a queue of this name takes calls.
    fn has(&self, queue: &str) -> bool;

    /// Why it cannot be used just now; `None` when it can.
    fn trouble(&self) -> Option<String>;
}

/// What a dead letter holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadContent {
    /// A call.
    Call(Box<QueuedCall>),
    /// A callback.
    Callback(Box<Callback>),
    /// Something that cannot be read.
    Unreadable(String),
}

/// A call that was taken off the queue and is this worker's until it is settled, or the lease ends.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Its name.
    pub id: InvocationId,
    /// `name.namespace`, as it was queued.
    pub function: String,
    /// Which of the times it was taken this is; the first is 1.
    pub delivery: u32,
    /// How many of these times are accounted for.
    pub returns: u32,
    /// Attempts that failed.
    pub failures: u32,
    /// Attempts in a row that did not reach the gateway.
    pub unreachable: u32,
    /// Time since it was accepted, or since the end of its delay where it was put off, as the store's clock tells.
    pub age: Duration,
    /// Time since it became due.
    pub waited: Duration,
    /// The call as it is stored: see [`Taken::call`].
    pub stored: Stored,
}

/// A call in the form of a store.
#[derive(Clone, Debug)]
pub enum Stored {
    /// On disk: an envelope.
    Disk(Bytes),
}

impl Taken {
    /// Reads the call. Only now, because what it holds may be what kills workers.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn call(&self) -> Result<QueuedCall, FormatError> {
        match &self.stored {
            Stored::Disk(bytes) => crate::format::decode_call(&crate::Envelope::from_bytes(bytes)?),
        }
    }
}

/// How an attempt is settled.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// What becomes of the call.
    pub verdict: Verdict,
    /// What came of it, to be kept and called back with where that was asked for. `None` where it goes back to the queue,
    /// and where nothing of it is to be told.
    pub answer: Option<Answer>,
    /// The status that was seen.
    pub status: Option<u16>,
    /// How long the attempt took.
    pub took: Duration,
    /// The limit of retries in force.
    pub max_retries: u32,
}

/// A callback that was taken, to be posted.
#[derive(Clone, Debug)]
pub struct TakenCallback {
    /// The callback.
    pub callback: Callback,
    /// How often it was tried before.
    pub tries: u32,
}

/// What becomes of a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackVerdict {
    /// It was taken, or is not wanted any more.
    Done,
    /// It is to be posted after this time.
    Again {
        /// After this time.
        after: Duration,
        /// Whether it was tried; otherwise it goes back as if it had not been taken.
        tried: bool,
    },
    /// It is a dead letter.
    Dead,
}

/// The side of a queue where calls are taken out and made.
#[async_trait]
pub trait Work: Queue {
    /// Functions that have calls waiting, those whose calls have been due for longest first.
    ///
    /// # Errors
    /// See [`Error`].
    async fn waiting(&self) -> Result<Vec<Depth>, Error>;

    /// Takes due calls: of each function at most so many. They are held for `lease`, and longer where it is extended.
    ///
    /// # Errors
    /// See [`Error`].
    async fn take(&self, wishes: &[(String, usize)], lease: Duration) -> Result<Vec<Taken>, Error>;

    /// Extends leases to `lease` from now. One that has ended stays so.
    ///
    /// # Errors
    /// See [`Error`].
    async fn extend(&self, held: &[(InvocationId, u32)], lease: Duration) -> Result<(), Error>;

    /// Settles a taken call, stored when this returns: its answer and callback with it, or none of them. Settling again, or
    /// late, does no harm: of two ends the first one counts. Whether this one did.
    ///
    /// # Errors
    /// When it is not stored; the call then comes again.
    async fn settle(&self, taken: &Taken, settlement: Settlement) -> Result<bool, Error>;

    /// Gives back what was taken and not begun: it is due at once, and nothing was used up.
    ///
    /// # Errors
    /// See [`Error`].
    async fn release(&self, taken: &Taken) -> Result<(), Error>;

    /// Takes callbacks that are due, at most so many.
    ///
    /// # Errors
    /// See [`Error`].
    async fn take_callbacks(&self, most: usize) -> Result<Vec<TakenCallback>, Error>;

    /// Settles a taken callback, stored when this returns.
    ///
    /// # Errors
    /// See [`Error`].
    async fn settle_callback(
        &self,
        id: InvocationId,
        verdict: CallbackVerdict,
    ) -> Result<(), Error>;

    /// Whether there are callbacks to take.
    ///
    /// # Errors
    /// See [`Error`].
    async fn callbacks_due(&self) -> Result<bool, Error>;

    /// Callbacks that wait or are being posted.
    ///
    /// # Errors
    /// See [`Error`].
    async fn callbacks(&self) -> Result<u64, Error>;

    /// A number that changes whenever something may have become possible to take. Time alone does not change it.
    fn changes(&self) -> watch::Receiver<u64>;

    /// The running calls that are cancelled, as they are.
    fn cancellations(&self) -> broadcast::Receiver<InvocationId>;

    /// The time by the store's clock, in milliseconds since 1970: what due times are compared with.
    fn now_ms(&self) -> u64;

    /// Whether a running call was cancelled; asked where [`Work::cancellations`] may have been missed.
    ///
    /// # Errors
    /// See [`Error`].
    async fn is_cancelled(&self, id: InvocationId) -> Result<bool, Error>;
}
