//! Bodies of `/system` requests: small, and whole before anybody acts on them.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use faas_provider::BODY_LIMIT_BYTES;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::error::Error;

/// Reads a body to its end. One that says beforehand that it is too large is not read at all.
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
