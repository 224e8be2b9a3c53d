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
mod settlement;
pub mod target;

pub use call::{Answer, Callback, Header, QueuedCall};
pub use clock::{Clock, SteadyClock};
pub use embedded::Embedded;
pub use envelope::{Envelope, FormatError, VERSION, VERSION_HEADER};
pub use id::{DEFAULT_QUEUE, DeadId, InvocationId, NoId, is_queue_name};
pub use nats::Nats;
pub use policy::{Backoff, RetryPolicy};
pub use queue::{
    Accepted, Books, CallStatus, CallbackVerdict, DeadContent, DeadFilter, DeadLetter, Depth,
    Error, NewCall, Queue, Settlement, State, Stored, Taken, TakenCallback, Work,
};
pub use settlement::{Counts, Outcome, Reason, Situation, Verdict, is_lost_too_often, settle};
