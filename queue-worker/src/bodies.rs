//! Bodies that are stored apart from their calls: in memory only while their calls are made, and only so many bytes at once.

use std::sync::Arc;

use bytes::Bytes;
use faas_queue::{Error, Taken, Work};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const BUDGET_KIB: u32 = 256 * 1024;
const KIB: usize = 1024;

/// Room for them, over all calls.
pub(crate) struct Bodies(Arc<Semaphore>);

/// A body, and its room for as long as it is held.
pub(crate) struct Fetched {
    pub(crate) body: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Default for Bodies {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BUDGET_KIB as usize)))
    }
}

impl Bodies {
    /// Waits for room for a call's body, and fetches it; `None` where the call has it.
    pub(crate) async fn fetch(
        &self,
        queue: &dyn Work,
        taken: &Taken,
    ) -> Result<Option<Fetched>, Error> {
        let Some(bytes) = taken.apart() else {
            return Ok(None);
        };
        // One that is larger than all the room has it for itself.
        let kib = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(BUDGET_KIB);
        let room = Arc::clone(&self.0).acquire_many_owned(kib.min(BUDGET_KIB));
        let room = room
            .await
            .map_err(|_| Error::Unavailable("stopped".to_owned()))?;
        let body = queue.body(taken).await?;
        Ok(body.map(|body| Fetched { body, _room: room }))
    }
}
