//! The certifier against a platform that can be made to lie, and against things that are none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::result_large_err
)]

mod half_way;
mod honest;
mod matrix;
mod model;
mod strangers;
mod switch;
mod tls;
