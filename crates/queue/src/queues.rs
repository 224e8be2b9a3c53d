//! Several queues as one: calls go where they say, and whoever asks after one need not say where it is.

use std::sync::Arc;

use async_trait::async_trait;

use crate::queue::{
    Accepted, Books, CallStatus, DeadContent, DeadFilter, DeadLetter, Depth, Error, NewCall, Queue,
};
use crate::{Answer, DeadId, InvocationId};

/// A queue, and further ones beside it that calls can name.
pub struct Queues {
    first: Arc<dyn Queue>,
    further: Vec<Arc<dyn Queue>>,
}

impl Queues {
    /// Calls that name no queue are put into `first`.
    #[must_use]
    pub fn new(first: Arc<dyn Queue>, further: Vec<Arc<dyn Queue>>) -> Self {
        Self { first, further }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<dyn Queue>> {
        std::iter::once(&self.first).chain(&self.further)
    }

    fn named(&self, name: &str) -> Result<&Arc<dyn Queue>, Error> {
        let found = self.all().find(|queue| queue.has(name));
        found.ok_or_else(|| Error::Unavailable(format!("there is no queue `{name}`")))
    }
}

#[async_trait]
impl Queue for Queues {
    async fn accept(&self, new: NewCall) -> Result<Accepted, Error> {
        self.named(&new.call.queue)?.accept(new).await
    }

    async fn status(&self, id: InvocationId) -> Result<Option<CallStatus>, Error> {
        for queue in self.all() {
            if let Some(status) = queue.status(id).await? {
                return Ok(Some(status));
            }
        }
        Ok(None)
    }

    async fn by_call_id(&self, call_id: &str) -> Result<Vec<CallStatus>, Error> {
        let mut calls = Vec::new();
        for queue in self.all() {
            calls.extend(queue.by_call_id(call_id).await?);
        }
        calls.sort_by_key(|call| call.accepted_ms);
        Ok(calls)
    }

    async fn result(&self, id: InvocationId) -> Result<Option<Answer>, Error> {
        for queue in self.all() {
            if let Some(answer) = queue.result(id).await? {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    async fn cancel(&self, id: InvocationId) -> Result<bool, Error> {
        for queue in self.all() {
            if queue.cancel(id).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Those of one queue after those of another: from the one on that has the letter after which is asked for.
    async fn dead_letters(&self, filter: &DeadFilter) -> Result<Vec<DeadLetter>, Error> {
        let queues: Vec<_> = self.all().collect();
        let (mut from, mut filter) = (0, filter.clone());
        if let Some(after) = filter.after {
            for (place, queue) in queues.iter().enumerate() {
                if queue.dead_letter(after).await?.is_some() {
                    from = place;
                }
            }
        }
        let mut letters = Vec::new();
        let most = filter.most;
        for queue in &queues[from..] {
            filter.most = most - letters.len();
            letters.extend(queue.dead_letters(&filter).await?);
            if letters.len() >= most {
                break;
            }
            filter.after = None;
        }
        Ok(letters)
    }

    async fn dead_letter(&self, id: DeadId) -> Result<Option<(DeadLetter, DeadContent)>, Error> {
        for queue in self.all() {
            if let Some(letter) = queue.dead_letter(id).await? {
                return Ok(Some(letter));
            }
        }
        Ok(None)
    }

    async fn redrive(&self, id: DeadId) -> Result<Option<InvocationId>, Error> {
        for queue in self.all() {
            if let Some(again) = queue.redrive(id).await? {
                return Ok(Some(again));
            }
        }
        Ok(None)
    }

    async fn purge(&self, id: DeadId) -> Result<bool, Error> {
        for queue in self.all() {
            if queue.purge(id).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn books(&self) -> Result<Books, Error> {
        let mut all = Books::default();
        for queue in self.all() {
            all.add(&queue.books().await?);
        }
        Ok(all)
    }

    async fn depths(&self) -> Result<Vec<Depth>, Error> {
        let mut depths = Vec::new();
        for queue in self.all() {
            depths.extend(queue.depths().await?);
        }
        Ok(depths)
    }

    fn name(&self) -> &str {
        self.first.name()
    }

    fn has(&self, queue: &str) -> bool {
        self.all().any(|one| one.has(queue))
    }

    fn trouble(&self) -> Option<String> {
        let trouble = |queue: &Arc<dyn Queue>| {
            let words = queue.trouble()?;
            Some(format!("{}: {words}", queue.name()))
        };
        self.all().find_map(trouble)
    }
}
