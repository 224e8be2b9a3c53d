//! Runs functions as sandboxed processes on this machine.

pub mod sandbox;
