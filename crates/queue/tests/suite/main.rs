//! What every back-end promises, asked of each of them; and what only one of them can be asked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod callbacks;
mod calls;
mod dead_letters;
mod disk;
#[path = "../nats/patience.rs"]
mod patience;
#[path = "../nats/server.rs"]
#[allow(dead_code, reason = "another suite uses all of it")]
mod server;
mod small;
mod support;
