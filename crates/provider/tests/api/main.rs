//! The routes that every provider gets, over real sockets and a provider in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod auth;
mod bad_bodies;
mod calls;
mod client;
mod endpoints;
mod functions;
mod health;
mod logs;
mod metrics;
mod namespaces;
mod round_trip;
mod routes;
mod secrets;
mod support;
