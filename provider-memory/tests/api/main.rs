//! The provider over sockets, running real processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod binary;
mod crashes;
mod disk;
mod environment;
mod functions;
mod limits;
mod logs;
mod namespaces;
mod paused;
mod plain;
mod processes;
mod programs;
mod restart;
mod secrets;
mod starting;
mod status;
mod support;
mod updates;
mod usage;
