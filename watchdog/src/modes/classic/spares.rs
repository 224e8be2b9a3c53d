//! Warm spares: processes that were started ahead and wait on their stdin, each for one call.
//!
//! An interpreter's start is then off the request's path. A spare knows nothing of its call but the input.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::pending;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::process::Process;
use crate::watchdog::App;

/// The spares. Dropping them kills them.
pub(crate) struct Spares {
    most: usize,
    /// The one that has waited longest, and so is the most ready, comes first.
    waiting: Mutex<VecDeque<Process>>,
    taken: Notify,
}

impl Spares {
    /// None yet; [`keep`](Self::keep) starts them.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            waiting: Mutex::default(),
            taken: Notify::new(),
        }
    }

    /// A spare, if there is one.
    pub(super) fn take(&self) -> Option<Process> {
        let mut waiting = self.waiting();
        // One that did not wait for a call has nothing to say to one.
        waiting.retain_mut(|process| !process.has_ended());
        self.taken.notify_one();
        waiting.pop_front()
    }

    /// Starts as many as there are to be, replaces those that are taken, and reaps those that end. Never returns.
    ///
    /// One that ends by itself is replaced with the next that is taken: a program that ends at once would otherwise be
    /// started for ever.
    pub(crate) async fn keep(&self, app: &App) -> Infallible {
        if self.most == 0 {
            return pending().await;
        }
        let Ok(mut ended) = signal(SignalKind::child()) else {
            log!("Warning: prefork is off: no signal tells of processes that end");
            return pending().await;
        };
        loop {
            self.fill(app);
            loop {
                tokio::select! {
                    () = self.taken.notified() => break,
                    _ = ended.recv() => self.waiting().retain_mut(|process| !process.has_ended()),
                }
            }
        }
    }

    fn fill(&self, app: &App) {
        let mut waiting = self.waiting();
        while waiting.len() < self.most {
            match super::launch(app, Vec::new()).start(&app.children) {
                Ok(process) => waiting.push_back(process),
                Err(error) => return log!("Warning: no process is started ahead: {error}"),
            }
        }
    }

    /// Kills all of them.
    pub(crate) fn stop(&self) {
        self.waiting().clear();
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Process>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
