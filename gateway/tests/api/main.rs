//! The gateway over real sockets: in front of provider-memory with real functions, and of providers played by hand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod alerts;
mod async_answers;
mod async_calls;
mod binary;
mod browsers;
mod calls;
mod correlation;
mod credentials;
mod dead_letters;
mod failures;
mod foreign;
mod from_zero;
mod health;
mod list;
mod logs;
mod methods;
mod metrics;
mod names;
mod nats;
mod restarts;
mod scaling;
mod schedule;
mod shutdown;
mod streaming;
mod support;
mod system;
mod zero;

// Where what is shared with other suites looks for it.
use support::patience;
