//! Bodies that are whole before anybody acts on them: small ones of `/system`, larger ones of asynchronous calls.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use faas_provider::BODY_LIMIT_BYTES;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;

/// Reads a body of `/system` to its end. One that says beforehand that it is too large is not read at all.
pub(crate) async fn read(body: Body, patience: Option<Duration>) -> Result<Bytes, Error> {
    let too_large = || Error::TooLarge(BODY_LIMIT_BYTES);
    if body.size_hint().lower() > BODY_LIMIT_BYTES as u64 {
        return Err(too_large());
    }
    let reading = Limited::new(body, BODY_LIMIT_BYTES).collect();
    let read = match patience {
        None => reading.await,
        Some(patience) => tokio::time::timeout(patience, reading)
            .await
            .map_err(|_| Error::BodyLate(patience))?,
    };
    match read {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Error::BodyBroken),
    }
}

/// Memory for bodies on their way to the queue, over all calls.
const BUDGET_KIB: usize = 256 * 1024;
const KIB: usize = 1024;

/// What bodies on their way to the queue may take together; more is refused rather than held.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Semaphore>);

impl Default for Budget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BUDGET_KIB)))
    }
}

/// A body, and its part of the budget for as long as it is held.
#[derive(Debug)]
pub(crate) struct Budgeted {
    pub(crate) bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// Reads a body to its end: at most `most` bytes, none of them later than `patience` after the one before.
    pub(crate) async fn read(
        &self,
        mut body: Body,
        most: usize,
        patience: Option<Duration>,
    ) -> Result<Budgeted, Error> {
        if body.size_hint().lower() > most as u64 {
            return Err(Error::TooLarge(most));
        }
        let (mut bytes, mut share) = (BytesMut::new(), None);
        while let Some(frame) = next(&mut body, patience).await? {
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if data.len() > most - bytes.len() {
                return Err(Error::TooLarge(most));
            }
            self.grow(&mut share, bytes.len() + data.len())?;
            bytes.extend_from_slice(&data);
        }
        Ok(Budgeted {
            bytes: bytes.freeze(),
            _share: share,
        })
    }

    /// Makes a share large enough for so many bytes.
    fn grow(&self, share: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> Result<(), Error> {
        let held = share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = bytes.div_ceil(KIB).saturating_sub(held);
        let missing = u32::try_from(missing).map_err(|_| Error::BodiesFull)?;
        let more = Arc::clone(&self.0).try_acquire_many_owned(missing);
        let more = more.map_err(|_| Error::BodiesFull)?;
        match share {
            Some(share) => share.merge(more),
            None => *share = Some(more),
        }
        Ok(())
    }
}

type Frame = http_body::Frame<Bytes>;

async fn next(body: &mut Body, patience: Option<Duration>) -> Result<Option<Frame>, Error> {
    let frame = body.frame();
    let frame = match patience {
        None => frame.await,
        Some(patience) => tokio::time::timeout(patience, frame)
            .await
            .map_err(|_| Error::BodyLate(patience))?,
    };
    frame.transpose().map_err(|_| Error::BodyBroken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_share_a_budget_and_give_it_back() {
        let budget = Budget(Arc::new(Semaphore::new(3)));
        let read = |bytes: usize| {
            let budget = budget.clone();
            async move { budget.read(Body::from(vec![1; bytes]), 4096, None).await }
        };
        let first = read(1025).await.unwrap();
        assert_eq!(first.bytes.len(), 1025);
        assert!(matches!(read(1025).await, Err(Error::BodiesFull)));
        let second = read(1024).await.unwrap();
        drop(first);
        assert!(read(2048).await.is_ok());
        drop(second);
        assert!(matches!(read(4096).await, Err(Error::BodiesFull)));
        assert!(matches!(read(4097).await, Err(Error::TooLarge(4096))));
        assert!(read(0).await.unwrap().bytes.is_empty());
        assert_eq!(budget.0.available_permits(), 3);
    }
}
