//! The sandbox, tried from inside and from outside with real processes. As root, because that is where most
//! of it can be seen; what others get is tried as `nobody`, what poorer machines get by taking things away.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod endings;
mod limits;
mod network;
mod poorer;
mod room;
mod stand_in;
mod support;
