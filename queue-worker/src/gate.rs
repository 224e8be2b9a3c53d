//! Whether the gateway is there: as long as it is not, nothing is taken off the queue.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::call::Gateway;

/// Attempts in a row that did not reach the gateway, after which none is made.
const MOST_UNREACHED: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Open while the gateway answers.
pub(crate) struct Gate {
    open: watch::Sender<bool>,
    unreached: AtomicU32,
}

impl Gate {
    /// Closed, until the gateway was seen.
    pub(crate) fn new() -> Self {
        Self {
            open: watch::Sender::new(false),
            unreached: AtomicU32::new(0),
        }
    }

    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.open.subscribe()
    }

    /// A call got through to the gateway.
    pub(crate) fn reached(&self) {
        self.unreached.store(0, Ordering::Relaxed);
    }

    /// A call did not.
    pub(crate) fn unreached(&self) {
        if self.unreached.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_UNREACHED {
            let closed = self
                .open
                .send_if_modified(|open| std::mem::replace(open, false));
            if closed {
                tracing::warn!(
                    "the gateway cannot be reached; no call is taken off the queue until it is"
                );
            }
        }
    }

    /// Opens it whenever the gateway is well again. Never ends.
    pub(crate) async fn keep(&self, gateway: &Gateway) {
        let mut open = self.open.subscribe();
        loop {
            // The sender is ours: it cannot be gone.
            let _ = open.wait_for(|open| !open).await;
            let mut pause = FIRST_PAUSE;
            while !gateway.is_well().await {
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            self.reached();
            self.open.send_replace(true);
            tracing::info!("the gateway is there");
        }
    }
}
