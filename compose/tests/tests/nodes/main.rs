//! A swarm of three nodes, of which some are lost: numbers, and what must not break. Each test has engines of its own.
#![allow(clippy::unwrap_used, clippy::panic)]

mod cluster;
mod load;
mod lost_managers;
mod lost_node;
mod restarted_engines;

use std::time::Duration;

/// `short`, or `long` where the long cases are asked for (SOAK=1).
fn lasting(short: u64, long: u64) -> Duration {
    Duration::from_secs(match std::env::var_os("SOAK") {
        Some(_) => long,
        None => short,
    })
}
