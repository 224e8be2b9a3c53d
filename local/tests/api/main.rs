//! `faas-local` as a new user meets it: the real program, real HTTP, real processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod browsers;
mod certified;
mod endings;
mod grpc;
#[path = "../../../crates/http/tests/api/http2_caller.rs"]
#[allow(dead_code, reason = "the tests of faas-http use the rest of it")]
mod http2_caller;
mod idle;
mod journey;
mod later;
mod processes;
#[path = "../../../idler/tests/api/processes.rs"]
#[allow(dead_code, reason = "the tests of faas-idler use the rest of it")]
mod prometheus;
mod servers;
mod settings;
mod soak;
mod support;
mod updates;
mod zero;
