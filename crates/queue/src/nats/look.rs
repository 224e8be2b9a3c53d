//! Looking after the streams, as long as the queue lives: what is missing is made again, also where nobody publishes.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use async_nats::connection::State;
use tokio::time::sleep;

use super::streams::{self, StreamError};
use super::{FIRST_DELAY, Inner, LONGEST_DELAY, Nats};

/// How often streams that were well are looked at, and the server is asked for the time.
const EVERY: Duration = Duration::from_secs(5);

impl Nats {
    /// Looks at the streams from now on.
    pub(super) fn begin_looking(&self) {
        let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(keep_looking(Arc::downgrade(&self.0)));
    }

    pub(super) fn wrong_with_streams(&self) -> Option<String> {
        let trouble = self.0.trouble.read();
        trouble.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sees to it that every stream is there. A server that cannot say whether one is has no leader just now, most likely.
    pub(super) async fn look_at_streams(&self) -> Result<(), StreamError> {
        let Inner {
            context,
            names,
            settings,
            ..
        } = &*self.0;
        let was_well = self.wrong_with_streams().is_none();
        let ensured = streams::ensure(context, names, settings).await;
        let words = ensured.as_ref().err().map(ToString::to_string);
        let mut trouble = self.0.trouble.write();
        **trouble
            .as_mut()
            .unwrap_or_else(|poisoned| poisoned.get_mut()) = words;
        drop(trouble);
        let made = ensured?;
        if was_well && !made.is_empty() {
            tracing::error!(streams = ?made, "streams are gone, with all that they held; they are made again");
        }
        Ok(())
    }

    fn is_connected(&self) -> bool {
        self.0.client.connection_state() == State::Connected
    }
}

async fn keep_looking(weak: Weak<Inner>) {
    let mut pause = FIRST_DELAY;
    while let Some(nats) = weak.upgrade().map(Nats) {
        if nats.is_connected() {
            let was_well = nats.wrong_with_streams().is_none();
            pause = match nats.look_at_streams().await {
                Ok(()) => EVERY,
                Err(_) => (pause * 2).min(LONGEST_DELAY),
            };
            if pause == EVERY {
                if !was_well {
                    tracing::info!("NATS is there");
                }
                if let Err(error) = nats.learn_time().await {
                    tracing::debug!(%error, "the server does not tell the time");
                }
            }
        }
        drop(nats);
        sleep(pause).await;
    }
}
