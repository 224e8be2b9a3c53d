//! What a queue does for whoever fills it and asks it. Both back-ends answer.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::call::{Answer, Callback, QueuedCall};
use crate::envelope::FormatError;
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
    /// Adds the books of another queue.
    pub(crate) fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.dead += other.dead;
        self.cancelled += other.cancelled;
        self.waiting += other.waiting;
        self.running += other.running;
    }

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

    /// The queue of functions that name none.
    fn name(&self) -> &str;

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
