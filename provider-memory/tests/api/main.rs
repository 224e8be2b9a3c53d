//! The provider over sockets, running real processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod environment;
mod functions;
mod namespaces;
mod processes;
mod secrets;
mod status;
mod support;
mod updates;
