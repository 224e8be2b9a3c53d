//! The calls that this worker holds: their leases, and whether they are cancelled.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use faas_queue::{InvocationId, Receipt, Taken};
use tokio_util::sync::CancellationToken;

/// Cancelled calls that are not here, remembered in case they are on their way here.
const MOST_REMEMBERED: usize = 1024;

/// All of them.
#[derive(Default)]
pub(crate) struct Held(Mutex<Calls>);

#[derive(Default)]
struct Calls {
    held: HashMap<InvocationId, Call>,
    cancelled: VecDeque<InvocationId>,
}

struct Call {
    /// As it was taken last.
    taken: Taken,
    cancel: CancellationToken,
}

/// What to do with a call that was taken.
pub(crate) enum Begin {
    /// Make it; the token is cancelled with the call.
    New(CancellationToken),
    /// Nothing: this worker makes it already. Its lease had ended, and what it comes to counts for this delivery.
    Runs,
}

impl Held {
    pub(crate) fn begin(&self, taken: &Taken) -> Begin {
        let mut calls = self.lock();
        if let Some(call) = calls.held.get_mut(&taken.id) {
            call.taken = taken.clone();
            return Begin::Runs;
        }
        let cancel = CancellationToken::new();
        if calls.cancelled.contains(&taken.id) {
            cancel.cancel();
        }
        let call = Call {
            taken: taken.clone(),
            cancel: cancel.clone(),
        };
        calls.held.insert(taken.id, call);
        Begin::New(cancel)
    }

    /// The call as it was taken last: what a settlement is for.
    pub(crate) fn taken(&self, id: InvocationId) -> Option<Taken> {
        self.lock().held.get(&id).map(|call| call.taken.clone())
    }

    pub(crate) fn end(&self, id: InvocationId) {
        self.lock().held.remove(&id);
    }

    /// Every call.
    pub(crate) fn all(&self) -> Vec<InvocationId> {
        self.lock().held.keys().copied().collect()
    }

    /// What holds them.
    pub(crate) fn receipts(&self) -> Vec<Receipt> {
        let calls = self.lock();
        let held = calls.held.values();
        held.map(|call| call.taken.receipt.clone()).collect()
    }

    pub(crate) fn cancel(&self, id: InvocationId) {
        let mut calls = self.lock();
        if let Some(call) = calls.held.get(&id) {
            call.cancel.cancel();
            return;
        }
        if calls.cancelled.len() == MOST_REMEMBERED {
            calls.cancelled.pop_front();
        }
        calls.cancelled.push_back(id);
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
