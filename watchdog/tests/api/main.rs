//! The watchdog over real sockets, as the real program. A number after `row` is a row of the table of observed
//! behaviour that the originals were held to; where ours differs on purpose the test says so and why. `ROWS.md` lists them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

mod access;
mod answers;
mod authority;
mod bad_input;
mod bodies;
mod caller;
mod details;
mod environment;
mod faults;
mod files;
mod h2c;
mod h2c_function;
mod health;
mod http_mode;
mod http_mode_limits;
mod http_mode_process;
mod http_mode_streams;
mod jwt;
mod jwt_keys;
mod jwt_set_up;
mod library;
mod limits;
mod metrics;
mod prefork;
mod programs;
mod protocol;
mod ready;
mod rows;
mod serializing;
mod shutdown;
mod soak;
mod start;
mod streaming;
mod streaming_faults;
mod support;
mod timeouts;
