//! The forwarder and the server over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod balance;
mod connections;
mod failures;
mod hang_up;
mod http2;
mod http2_caller;
mod http2_played;
mod limits;
mod requests;
mod server;
mod shutdown;
mod silence;
mod streaming;
mod support;
mod upgrades;
