#![doc = include_str!("../README.md")]

mod call;
mod clock;
pub mod embedded;
mod envelope;
pub mod format;
mod id;
pub mod nats;
pub mod policy;
mod queue;
mod queues;
mod record;
mod settlement;
pub mod target;
mod work;

pub use call::{Answer, Callback, Header, QueuedCall};
pub use clock::{Clock, SteadyClock};
pub use embedded::Embedded;
pub use envelope::{Envelope, FormatError, VERSION, VERSION_HEADER};
pub use id::{DEFAULT_QUEUE, DeadId, InvocationId, NoId, is_queue_name};
pub use nats::Nats;
pub use policy::{Backoff, RetryPolicy};
pub use queue::{
    Accepted, Books, CallStatus, DeadContent, DeadFilter, DeadLetter, Depth, Error, NewCall, Queue,
    State,
};
pub use queues::Queues;
pub use settlement::{Counts, Outcome, Reason, Situation, Verdict, is_lost_too_often, settle};
pub use work::{CallbackVerdict, Receipt, Settlement, Stored, Taken, TakenCallback, Work};
