//! The idler's program before a gateway with functions that are played, and a real Prometheus that scrapes the gateway.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod idles;
mod platform;
mod processes;
mod program;
mod troubles;
