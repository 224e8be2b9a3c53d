//! The whole of it as processes of their own: a gateway, the worker's program, and a NATS server, all of which the tests
//! kill and start again. Needs `nats-server`. What ran is written down here, outside of all of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod company;
mod faults;
mod functions;
mod journey;
mod large;
mod ledger;
mod limits;
mod outages;
#[path = "../../../crates/queue/tests/nats/patience.rs"]
#[allow(dead_code, reason = "another suite uses all of it")]
mod patience;
mod processes;
#[path = "../../../crates/queue/tests/nats/proxy.rs"]
#[allow(dead_code, reason = "another suite uses all of it")]
mod proxy;
mod queues;
mod scaled;
#[path = "../../../crates/queue/tests/nats/server.rs"]
#[allow(dead_code, reason = "another suite uses all of it")]
mod server;
mod settling;
#[path = "../../../crates/queue/tests/suite/small.rs"]
mod small;
mod soak;
mod stack;
mod targets;
mod upgrade;

pub(crate) use patience::{soon, until};

/// A number as written, or scaled down where the long run was not asked for.
pub(crate) fn long_or(long: u64, short: u64) -> u64 {
    match std::env::var_os("SOAK") {
        Some(_) => long,
        None => short,
    }
}
