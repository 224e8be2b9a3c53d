//! Images and compose files, run for real on the tests' own engine.
#![allow(clippy::unwrap_used, clippy::panic)]

mod alerts;
mod certified;
mod faults;
mod images;
mod journey;
mod networks;
mod swapped;
