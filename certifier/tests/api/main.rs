//! The certifier's command line and its reports, against the platform in memory of the tests in `faulty`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::result_large_err
)]

mod bench;
mod command_line;
mod endings;

#[path = "../faulty/model/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "shared with the tests in `faulty`, which use all of it"
)]
mod model;

#[path = "../faulty/switch.rs"]
#[allow(
    dead_code,
    reason = "shared with the tests in `faulty`, which use all of it"
)]
mod switch;
