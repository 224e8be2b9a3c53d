//! What a function process reads on stdin: the request body, plain or inside a JSON envelope.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::spool::Kept;

/// The pieces of an input, made one at a time.
pub(crate) struct Input {
    before: Bytes,
    body: Kept,
    encode: bool,
    after: Bytes,
}

impl Input {
    /// The body as it came.
    pub(crate) fn plain(body: Kept) -> Self {
        Self {
            before: Bytes::new(),
            body,
            encode: false,
            after: Bytes::new(),
        }
    }

    /// The body in base64 between two texts.
    pub(crate) fn enveloped(before: Vec<u8>, body: Kept, after: &'static [u8]) -> Self {
        Self {
            before: before.into(),
            body,
            encode: true,
            after: Bytes::from_static(after),
        }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if !self.before.is_empty() {
            return Ok(Some(std::mem::take(&mut self.before)));
        }
        if let Some(chunk) = self.body.next().await? {
            // Every chunk but the last is a multiple of three bytes, so the encodings simply follow each other.
            return Ok(Some(if self.encode {
                STANDARD.encode(chunk).into()
            } else {
                chunk
            }));
        }
        let after = std::mem::take(&mut self.after);
        Ok(Some(after).filter(|after| !after.is_empty()))
    }
}
