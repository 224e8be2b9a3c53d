//! Images and compose files, run for real on the tests' own engine.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic)]

mod alerts;
mod certified;
mod engines;
mod faults;
mod images;
mod journey;
mod knobs;
mod networks;
mod queued;
mod seccomp;
mod seen;
mod swapped;
mod swarm;
