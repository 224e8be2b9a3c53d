#![doc = include_str!("../README.md")]

pub mod bench;
mod capability;
mod check;
mod checks;
mod clean_up;
mod detect;
mod exposition;
mod failure;
mod http;
mod journal;
mod mask;
mod options;
mod plan;
mod platform;
pub mod probe;
mod probing;
mod quote;
mod report;
mod round;
mod rule;
mod run;
mod sink;
mod skips;
mod target;
mod tls;
mod transport;
mod view;
mod wait;
#[allow(
    dead_code,
    reason = "a vocabulary: not every word of it is in use at every time"
)]
mod wire;
mod words;
mod xml;

pub use capability::{Capability, Claim};
pub use failure::Failure;
pub use journal::Exchange;
pub use options::{Credentials, Entry, Options, TestFunction, Trust};
pub use plan::rules;
pub use report::{Line, Report, Verdict};
pub use rule::{Door, Group, Level, Rule};
pub use run::{Event, run, run_until, run_watched};
pub use skips::Allowed;
