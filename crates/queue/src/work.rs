//! What a queue does for whoever works it off. Both back-ends answer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{broadcast, watch};

use crate::call::{Answer, Callback, QueuedCall};
use crate::envelope::FormatError;
use crate::nats::{Delivery, Message, Posting};
use crate::queue::{Depth, Error, Queue};
use crate::settlement::Verdict;
use crate::{Envelope, InvocationId, format};

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
    /// What holds it.
    pub receipt: Receipt,
}

/// A call in the form of a store.
#[derive(Clone, Debug)]
pub struct Stored(pub(crate) Form);

/// Which.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// On disk: an envelope.
    Disk(Bytes),
    /// As a message, whoever wrote it.
    Message(Arc<Message>),
}

/// What shows that a call or a callback was taken, and by which of the times: whoever has it holds what was taken.
#[derive(Clone, Debug)]
pub struct Receipt(pub(crate) Held);

/// How a store knows what is held.
#[derive(Clone, Debug)]
pub(crate) enum Held {
    /// On disk: by the call.
    Disk(InvocationId),
    /// On NATS: by where to answer.
    Message(Arc<Delivery>),
    /// A callback on NATS.
    Callback(Arc<Posting>),
}

impl Taken {
    /// How many bytes the body of the call has, where it is stored apart: see [`Work::body`].
    #[must_use]
    pub fn apart(&self) -> Option<usize> {
        match &self.stored.0 {
            Form::Disk(_) => None,
            Form::Message(message) => message.apart(),
        }
    }

    /// Reads the call. Only now, because what it holds may be what kills workers.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn call(&self) -> Result<QueuedCall, FormatError> {
        match &self.stored.0 {
            Form::Disk(bytes) => format::decode_call(&Envelope::from_bytes(bytes)?),
            Form::Message(message) => message.call(),
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
    /// What holds it.
    pub receipt: Receipt,
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

    /// How long what was taken is held without a word.
    fn lease(&self) -> Duration;

    /// Takes due calls: of each function at most so many. They are held for a lease, and longer where it is extended.
    ///
    /// # Errors
    /// See [`Error`].
    async fn take(&self, wishes: &[(String, usize)]) -> Result<Vec<Taken>, Error>;

    /// The body of a taken call, where it is stored apart; otherwise the call has it.
    ///
    /// # Errors
    /// See [`Error`]. With [`Error::Format`] it is lost.
    async fn body(&self, _taken: &Taken) -> Result<Option<Bytes>, Error> {
        Ok(None)
    }

    /// Extends leases: each is a whole one from now. One that has ended stays so.
    ///
    /// # Errors
    /// See [`Error`].
    async fn extend(&self, held: &[Receipt]) -> Result<(), Error>;

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
        taken: &TakenCallback,
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
