//! What the tests in `tests/compose` share: the engine that `.ci/engine` started, and a platform on it.
//!
//! No crate of ours is used: images and compose files are tested as an operator has them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "of tests only: a failure is a panic with words"
)]

mod engine;
mod platform;
mod stack;

pub use engine::Engine;
pub use platform::{Answer, Platform};
pub use stack::Stack;

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Asks again and again until the answer is yes; panics with the last one after `limit`.
pub async fn until<T: std::fmt::Debug>(
    what: &str,
    limit: Duration,
    mut ask: impl AsyncFnMut() -> T,
    enough: impl Fn(&T) -> bool,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        let got = ask().await;
        if enough(&got) {
            return got;
        }
        assert!(
            Instant::now() < deadline,
            "waited in vain for {what}; last seen: {got:?}"
        );
        sleep(Duration::from_millis(100)).await;
    }
}
