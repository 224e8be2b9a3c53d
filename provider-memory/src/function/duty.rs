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

/// A duty, and how often it was another one before: one that was taken back at once is to be told from none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) duty: Duty,
    number: u64,
}

/// The duty of one replica, shared by those who say it and those who follow.
#[derive(Clone, Debug)]
pub(super) struct Orders(Arc<watch::Sender<Turn>>);

impl Default for Orders {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Turn {
            duty: Duty::Serve,
            number: 0,
        })))
    }
}

impl Orders {
    /// What it is to do now.
    pub(super) fn duty(&self) -> Duty {
        self.turn().duty
    }

    pub(super) fn turn(&self) -> Turn {
        *self.0.borrow()
    }

    /// From serving to resting.
    pub(super) fn rest(&self) -> bool {
        self.change(|duty| duty == Duty::Serve, Duty::Rest)
    }

    /// From resting to serving.
    pub(super) fn serve(&self) -> bool {
        self.change(|duty| duty == Duty::Rest, Duty::Serve)
    }

    /// From resting to leaving. Of this and [`Orders::serve`] the first one counts.
    pub(super) fn dismiss(&self) -> bool {
        self.change(|duty| duty == Duty::Rest, Duty::Leave)
    }

    /// Whatever it did.
    pub(super) fn leave(&self) {
        self.change(|duty| duty != Duty::Leave, Duty::Leave);
    }

    /// Waits until this turn is over, also where the next ones were the same duty again.
    pub(super) async fn after(&self, turn: Turn) {
        // The sender is ours, so that the wait ends in no other way.
        let _ = self.0.subscribe().wait_for(|now| *now != turn).await;
    }

    /// Whether both are the same replica's.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn change(&self, from: impl Fn(Duty) -> bool, to: Duty) -> bool {
        self.0.send_if_modified(|now| {
            let changes = from(now.duty);
            if changes {
                *now = Turn {
                    duty: to,
                    number: now.number + 1,
                };
            }
            changes
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

    /// Otherwise a replica that is wanted again at once would not say anew that it is ready.
    #[tokio::test]
    async fn an_order_that_was_taken_back_at_once_is_heard() {
        let orders = Orders::default();
        let turn = orders.turn();
        assert!(orders.rest() && orders.serve());
        orders.after(turn).await;
        let turn = orders.turn();
        assert_eq!(turn.duty, Duty::Serve);
        assert!(!orders.serve());
        assert_eq!(orders.turn(), turn);
    }
}
