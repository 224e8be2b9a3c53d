//! The worker in front of a gateway played by hand, with the real queue on a disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod callbacks;
mod calls;
mod company;
mod endings;
mod faults;
mod metrics;
mod readme;
mod support;
