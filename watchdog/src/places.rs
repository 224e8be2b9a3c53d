//! `max_inflight`: places for calls, given back when the answer is sent or given up.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::answer::{self, Response};

/// The places; without a limit there is always another.
#[derive(Debug)]
pub(crate) struct Places(Option<(usize, Arc<Semaphore>)>);

/// One place, free again when dropped, however the call ends.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

/// All places are taken.
#[derive(Debug)]
pub(crate) struct NoPlace;

impl Places {
    pub(crate) fn new(most: Option<usize>) -> Self {
        Self(most.map(|most| {
            let permits = most.min(Semaphore::MAX_PERMITS);
            (most, Arc::new(Semaphore::new(permits)))
        }))
    }

    /// A place, if there is one; without a limit there is nothing to give back.
    pub(crate) fn take(&self) -> Result<Option<Place>, NoPlace> {
        let Some((_, places)) = &self.0 else {
            return Ok(None);
        };
        let permit = Arc::clone(places).try_acquire_owned();
        permit
            .map(|permit| Some(Place { _permit: permit }))
            .map_err(|_| NoPlace)
    }

    pub(crate) fn is_full(&self) -> bool {
        let places = self.0.as_ref();
        places.is_some_and(|(_, places)| places.available_permits() == 0)
    }

    /// The answer when there is none.
    pub(crate) fn refusal(&self) -> Response {
        let most = self.0.as_ref().map_or(0, |(most, _)| *most);
        let words = format!("Concurrent request limit exceeded. Max concurrent requests: {most}\n");
        let mut response = answer::plain(StatusCode::TOO_MANY_REQUESTS, words);
        // Compat: gateway and queue look at this header and this type, without a charset.
        answer::content_type(&mut response, HeaderValue::from_static("text/plain"));
        answer::from_hop(response, "faas-middleware")
    }
}
