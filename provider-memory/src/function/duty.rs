//! What a replica is there for, as its function says it.

use std::sync::Arc;

use tokio::sync::watch;

/// What a replica is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// Take calls.
    Serve,
    /// Keep its memory, and take no calls.
    Rest,
    /// End. Nothing comes after that.
    Leave,
}

/// The duty of one replica, shared by those who say it and those who follow.
#[derive(Clone, Debug)]
pub(super) struct Orders(Arc<watch::Sender<Duty>>);

impl Default for Orders {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Duty::Serve)))
    }
}

impl Orders {
    /// What it is to do now.
    pub(super) fn duty(&self) -> Duty {
        *self.0.borrow()
    }

    /// From serving to resting.
    pub(super) fn rest(&self) -> bool {
        self.turn(Duty::Serve, Duty::Rest)
    }

    /// From resting to serving.
    pub(super) fn serve(&self) -> bool {
        self.turn(Duty::Rest, Duty::Serve)
    }

    /// From resting to leaving. Of this and [`Orders::serve`] the first one counts.
    pub(super) fn dismiss(&self) -> bool {
        self.turn(Duty::Rest, Duty::Leave)
    }

    /// Whatever it did.
    pub(super) fn leave(&self) {
        self.0.send_replace(Duty::Leave);
    }

    /// Waits until it is to do something else than this.
    pub(super) async fn other_than(&self, duty: Duty) {
        // The sender is ours, so that the wait ends in no other way.
        let _ = self.0.subscribe().wait_for(|now| *now != duty).await;
    }

    /// Whether both are the same replica's.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn turn(&self, from: Duty, to: Duty) -> bool {
        self.0.send_if_modified(|now| {
            let turns = *now == from;
            if turns {
                *now = to;
            }
            turns
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_told_to_leave_is_told_nothing_else() {
        let orders = Orders::default();
        assert!(!orders.dismiss() && !orders.serve());
        assert!(orders.rest() && !orders.rest());
        assert!(orders.serve() && orders.rest() && orders.dismiss());
        assert!(!orders.serve() && !orders.rest());
        assert_eq!(orders.duty(), Duty::Leave);
    }
}
