//! The gateway over real sockets: in front of provider-memory with real functions, and of providers played by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alerts;
mod failures;
mod foreign;
mod from_zero;
mod list;
mod methods;
mod metrics;
mod names;
mod support;
mod system;
