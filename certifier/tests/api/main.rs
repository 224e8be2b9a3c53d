//! The certifier against a platform that can be made to lie, and against things that are none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command_line;
mod faults;
mod honest;
mod model;
mod strangers;
mod watchdog;
