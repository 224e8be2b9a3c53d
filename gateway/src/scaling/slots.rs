//! How many calls a function takes at once, where it says so: the others wait here, in the order of their arrival, instead of
//! being refused by its replicas.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use faas_provider::FunctionEndpoints;
use faas_scaling::settings::MAX_INFLIGHT_LABEL;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::endpoints;

/// How many calls the replicas of a function take together, where its label says how many one takes.
pub(crate) fn slots(function: &FunctionEndpoints) -> Option<usize> {
    let label = function.labels.get(MAX_INFLIGHT_LABEL)?;
    let each: usize = label.trim().parse().ok().filter(|each| *each > 0)?;
    Some(endpoints::ready(function).saturating_mul(each))
}

/// The slots of one function. There are none before they are [`set`](Slots::set).
#[derive(Debug)]
pub(crate) struct Slots {
    /// Fair: who waits longest is next.
    free: Arc<Semaphore>,
    count: Mutex<Count>,
    waiting: AtomicUsize,
}

#[derive(Debug, Default)]
struct Count {
    /// How many there are to be.
    total: usize,
    /// Those in use that are too many: they end with their calls.
    surplus: usize,
}

/// Why a call got no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSlot {
    /// As many wait as may.
    Full,
    /// None became free in time.
    Late,
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            free: Arc::new(Semaphore::new(0)),
            count: Mutex::default(),
            waiting: AtomicUsize::new(0),
        }
    }
}

impl Slots {
    /// From now on there are so many, however many are in use.
    pub(crate) fn set(&self, total: usize) {
        let total = total.min(Semaphore::MAX_PERMITS / 2);
        let mut count = self.count();
        let before = std::mem::replace(&mut count.total, total);
        if total >= before {
            let more = total - before;
            let paid = more.min(count.surplus);
            count.surplus -= paid;
            self.free.add_permits(more - paid);
        } else {
            let fewer = before - total;
            count.surplus += fewer - self.free.forget_permits(fewer);
        }
    }

    /// A slot, as soon as one is free; `most` may wait, and none for longer than `limit`.
    ///
    /// # Errors
    /// Without a slot in time, or with too many before it.
    pub(crate) async fn take(
        self: &Arc<Self>,
        most: usize,
        limit: Option<Duration>,
    ) -> Result<Slot, NoSlot> {
        if let Ok(permit) = self.free.try_acquire() {
            permit.forget();
            return Ok(Slot(Arc::clone(self)));
        }
        let _place = self.wait(most).ok_or(NoSlot::Full)?;
        let free = self.free.acquire();
        let got = match limit {
            Some(limit) => timeout(limit, free).await.map_err(|_| NoSlot::Late)?,
            None => free.await,
        };
        // It is closed never.
        got.map_err(|_| NoSlot::Late)?.forget();
        Ok(Slot(Arc::clone(self)))
    }

    fn wait(&self, most: usize) -> Option<Place<'_>> {
        let place = Place(&self.waiting);
        (self.waiting.fetch_add(1, Ordering::AcqRel) < most).then_some(place)
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who wait.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A slot in use, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Slots>);

impl Drop for Slot {
    fn drop(&mut self) {
        let mut count = self.0.count();
        match count.surplus {
            0 => self.0.free.add_permits(1),
            _ => count.surplus -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Option<Duration> = Some(Duration::from_secs(1));

    #[tokio::test(start_paused = true)]
    async fn so_many_calls_at_once_and_the_others_in_their_order() {
        let slots = Arc::new(Slots::default());
        slots.set(2);
        let first = slots.take(10, SOON).await.unwrap();
        let _second = slots.take(10, SOON).await.unwrap();
        assert_eq!(slots.take(10, SOON).await.unwrap_err(), NoSlot::Late);
        assert_eq!(slots.take(0, SOON).await.unwrap_err(), NoSlot::Full);
        let order = Arc::new(Mutex::new(Vec::new()));
        let waiters: Vec<_> = (0..3)
            .map(|number| {
                let (slots, order) = (Arc::clone(&slots), Arc::clone(&order));
                tokio::spawn(async move {
                    let slot = slots.take(10, None).await.unwrap();
                    order.lock().unwrap().push(number);
                    drop(slot);
                })
            })
            .collect();
        tokio::task::yield_now().await;
        drop(first);
        for waiter in waiters {
            waiter.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2]);
        assert_eq!(slots.waiting.load(Ordering::Acquire), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn more_are_there_at_once_and_fewer_when_calls_have_ended() {
        let slots = Arc::new(Slots::default());
        let waiter = tokio::spawn({
            let slots = Arc::clone(&slots);
            async move { slots.take(10, None).await }
        });
        tokio::task::yield_now().await;
        slots.set(3);
        let first = waiter.await.unwrap().unwrap();
        let second = slots.take(10, SOON).await.unwrap();
        // One is free and goes; one in use is too many.
        slots.set(1);
        assert_eq!(slots.take(10, SOON).await.unwrap_err(), NoSlot::Late);
        drop(second);
        assert_eq!(slots.take(10, SOON).await.unwrap_err(), NoSlot::Late);
        drop(first);
        let only = slots.take(10, SOON).await.unwrap();
        // What is too many comes back into use where there are more again.
        slots.set(0);
        slots.set(2);
        let _other = slots.take(10, SOON).await.unwrap();
        assert_eq!(slots.take(10, SOON).await.unwrap_err(), NoSlot::Late);
        drop(only);
        assert!(slots.take(10, SOON).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_hangs_up_waits_no_longer() {
        let slots = Arc::new(Slots::default());
        let waiting = tokio::spawn({
            let slots = Arc::clone(&slots);
            async move { slots.take(1, None).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(slots.take(1, SOON).await.unwrap_err(), NoSlot::Full);
        waiting.abort();
        let _ = waiting.await;
        assert_eq!(slots.take(1, SOON).await.unwrap_err(), NoSlot::Late);
    }
}
