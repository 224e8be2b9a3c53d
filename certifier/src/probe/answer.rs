//! Bodies of answers.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::HeaderMap;

use super::wish::Piece;

pub(super) type Body = BoxBody<Bytes, io::Error>;

const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

/// Long enough for what was written to be on its way.
const UNTIL_SENT: Duration = Duration::from_millis(100);

const PIECE: usize = 26 * 2048;

/// `certified` and a newline, as gzip writes them.
pub(super) const GZIP: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x4b, 0x4e, 0x2d, 0x2a, 0xc9, 0x4c,
    0xcb, 0x4c, 0x4d, 0xe1, 0x02, 0x00, 0xbb, 0x5b, 0x03, 0xe9, 0x0a, 0x00, 0x00, 0x00,
];

pub(super) fn whole(content: impl Into<Bytes>) -> Body {
    Full::new(content.into())
        .map_err(|never: Infallible| match never {})
        .boxed()
}

/// So many bytes of the alphabet, over and over, in pieces.
pub(super) fn alphabet(length: u64) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync {
    let piece = Bytes::from(ALPHABET.repeat(PIECE / ALPHABET.len()));
    stream::iter((0..length).step_by(PIECE)).map(move |begin| {
        let left = usize::try_from(length - begin).unwrap_or(PIECE);
        Ok(piece.slice(..PIECE.min(left)))
    })
}

/// So many pieces, with a pause before each but the first.
pub(super) fn pieces(
    count: u64,
    kind: Piece,
    every: Duration,
) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync {
    stream::unfold(1, move |number| async move {
        if number > count {
            return None;
        }
        if number > 1 {
            tokio::time::sleep(every).await;
        }
        let text = match kind {
            Piece::Text => format!("piece {number}\n"),
            Piece::Event => format!("data: {number}\n\n"),
            Piece::Line => format!("{{\"line\":{number}}}\n"),
        };
        Some((Ok(Bytes::from(text)), number + 1))
    })
}

/// A body that ends well, perhaps with trailers, or breaks off.
pub(super) fn streamed(
    content: impl Stream<Item = io::Result<Bytes>> + Send + Sync + 'static,
    trailers: HeaderMap,
    breaks: bool,
) -> Body {
    let content = content.map(|piece| piece.map(Frame::data));
    let end = stream::once(async move {
        if breaks {
            // Otherwise what came before would be thrown away with the connection.
            tokio::time::sleep(UNTIL_SENT).await;
            return Some(Err(io::Error::other("asked for")));
        }
        (!trailers.is_empty()).then(|| Ok(Frame::trailers(trailers)))
    });
    let end = end.filter_map(std::future::ready);
    BodyExt::boxed(StreamBody::new(content.chain(end)))
}
