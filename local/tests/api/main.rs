//! `faas-local` as a new user meets it: the real program, real HTTP, real processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod browsers;
mod certified;
mod endings;
mod journey;
mod processes;
mod servers;
mod settings;
mod soak;
mod support;
mod updates;
