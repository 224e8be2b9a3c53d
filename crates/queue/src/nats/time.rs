//! The server's time. A call's age is told from when the server stored it, so whoever tells it has to go by the server's
//! clock, whatever the own one says.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;

use super::Nats;
use super::names::Names;
use super::publish::Draft;
use crate::{Clock, Envelope, Error, InvocationId};

/// Our clock, and what is to be added to it.
pub(super) struct Time {
    ours: Arc<dyn Clock>,
    behind_ms: AtomicI64,
}

impl Time {
    pub(super) fn by(ours: Arc<dyn Clock>) -> Self {
        Self {
            ours,
            behind_ms: AtomicI64::new(0),
        }
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.at(self.ours.now_ms())
    }

    /// What our clock says.
    pub(super) fn ours_ms(&self) -> u64 {
        self.ours.now_ms()
    }

    /// What the server's clock says, or said, when ours says this.
    pub(super) fn at(&self, ours_ms: u64) -> u64 {
        ours_ms.saturating_add_signed(self.behind_ms.load(Ordering::Relaxed))
    }

    /// The server's clock said this between two moments of ours. As long as ours may be right it is left as it is.
    fn learn(&self, before_ms: u64, server_ms: u64, after_ms: u64) {
        let nearest = server_ms.clamp(before_ms, after_ms.max(before_ms));
        let behind = i128::from(server_ms) - i128::from(nearest);
        let behind = i64::try_from(behind).unwrap_or_default();
        let known = self.behind_ms.swap(behind, Ordering::Relaxed);
        if (behind - known).abs() > super::SKEW_MS.cast_signed() {
            tracing::warn!(
                milliseconds = behind,
                "our clock is behind the server's by so much; the server's counts"
            );
        }
    }
}

impl Nats {
    /// Has the server say what time it is: by storing a message.
    pub(super) async fn learn_time(&self) -> Result<(), Error> {
        let time = &self.0.time;
        let subject = self.0.names.time_subject();
        let draft = Draft {
            subject: subject.clone(),
            id: InvocationId::new().to_string(),
            envelope: Envelope::new(Bytes::new()),
        };
        let before = time.ours_ms();
        self.publish(&draft).await?;
        // Or somebody else's that was stored since.
        let stored = self.last_of(&Names::counts(), &subject).await?;
        let after = time.ours_ms();
        if let Some(stored) = stored {
            time.learn(before, stored.at_ms, after);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stopped;

    impl Clock for Stopped {
        fn now_ms(&self) -> u64 {
            1_000_000
        }
    }

    #[test]
    fn only_a_clock_that_cannot_be_right_is_put_right() {
        let time = Time::by(Arc::new(Stopped));
        for (server, now) in [
            (1_000_000, 1_000_000),
            (1_000_200, 1_000_000),
            (1_003_300, 1_003_000),
            (400_000, 400_000),
            (1_000_100, 1_000_000),
        ] {
            time.learn(1_000_000, server, 1_000_300);
            assert_eq!(time.now_ms(), now, "{server}");
        }
    }
}
