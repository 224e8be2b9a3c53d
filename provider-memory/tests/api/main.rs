//! The provider over sockets, running real processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod functions;
mod processes;
mod status;
mod support;
mod updates;
