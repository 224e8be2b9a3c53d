//! Dead letters that their stream pushed out, because they were too old or too many. It tells nobody; what is gone tells.

use std::sync::atomic::Ordering;

use async_nats::jetstream::stream::{Config, Info, State};

use super::Nats;
use super::store::{millis, unavailable};
use crate::Error;
use crate::clock;

/// What a stream held when it was looked at.
pub(super) struct Held {
    first: u64,
    last: u64,
    messages: u64,
    bytes: u64,
    oldest_ms: u64,
}

impl Held {
    fn of(state: &State) -> Self {
        Self {
            first: state.first_sequence,
            last: state.last_sequence,
            messages: state.messages,
            bytes: state.bytes,
            oldest_ms: millis(state.first_timestamp.unix_timestamp_nanos()),
        }
    }

    /// Messages that were pushed out since. What was put back or dropped is gone as well: it counts only where the stream
    /// had reached a limit and its oldest messages went.
    fn pushed_out(&self, now: &Self, limits: &Config, now_ms: u64) -> u64 {
        let most = u64::try_from(limits.max_bytes).unwrap_or(u64::MAX);
        let full = self.bytes >= most / 10 * 9;
        let age = clock::millis(limits.max_age);
        let old = age > 0 && self.oldest_ms.saturating_add(age) <= now_ms;
        let came = now.last.saturating_sub(self.last);
        match now.first > self.first && (full || old) {
            true => (self.messages + came).saturating_sub(now.messages),
            false => 0,
        }
    }
}

impl Nats {
    /// How many dead letters were pushed out while this looked on. For workers.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.0.evicted.load(Ordering::Relaxed)
    }

    /// Counts dead letters that were pushed out since it was looked last.
    pub(super) async fn count_evicted(&self, seen: &mut Option<Held>) -> Result<(), Error> {
        let stream = self.stream(&self.0.names.dead()).await?;
        let Info { config, state, .. } = stream.get_info().await.map_err(unavailable)?;
        let now = Held::of(&state);
        if let Some(before) = seen {
            let evicted = before.pushed_out(&now, &config, self.now());
            self.0.evicted.fetch_add(evicted, Ordering::Relaxed);
        }
        *seen = Some(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grew_too_old_is_counted_and_what_was_dropped_is_not() {
        let held = |first, last, messages| Held {
            first,
            last,
            messages,
            bytes: 1000,
            oldest_ms: 5_000,
        };
        let limits = Config {
            max_bytes: 1_000_000,
            max_age: std::time::Duration::from_secs(60),
            ..Config::default()
        };
        let before = held(1, 10, 10);
        let after = |now: &Held, now_ms| before.pushed_out(now, &limits, now_ms);
        assert_eq!(after(&held(4, 12, 9), 65_000), 3);
        assert_eq!(after(&held(4, 12, 9), 64_999), 0, "nothing was too old");
        assert_eq!(after(&held(1, 10, 9), 65_000), 0, "the oldest is there");
        assert_eq!(after(&held(1, 12, 12), 65_000), 0);
    }
}
