//! Answers, from the shortest to a stream.

use std::io;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::Value;

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;
pub(crate) type Answer = Response<Body>;

/// A status and nothing else.
pub(crate) fn empty(status: u16) -> Answer {
    with_body(
        status,
        Empty::new().map_err(io::Error::other).boxed_unsync(),
    )
}

/// A refusal: one line of text.
pub(crate) fn refusal(status: u16, line: impl AsRef<str>) -> Answer {
    let line = format!("{}\n", line.as_ref());
    typed(status, "text/plain; charset=utf-8", line)
}

pub(crate) fn json(status: u16, value: &Value) -> Answer {
    typed(status, "application/json", value.to_string())
}

pub(crate) fn typed(status: u16, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = bytes(status, body);
    set(&mut answer, CONTENT_TYPE, kind);
    answer
}

pub(crate) fn bytes(status: u16, body: impl Into<Bytes>) -> Answer {
    with_body(status, whole(body))
}

/// A body in one piece, with its length.
pub(crate) fn whole(body: impl Into<Bytes>) -> Body {
    Full::new(body.into())
        .map_err(io::Error::other)
        .boxed_unsync()
}

/// A body that comes in pieces, chunked; an error breaks the connection.
pub(crate) fn pieces<S>(stream: S) -> Body
where
    S: futures_util::Stream<Item = io::Result<Bytes>> + Send + 'static,
{
    use futures_util::TryStreamExt;
    StreamBody::new(stream.map_ok(Frame::data)).boxed_unsync()
}

pub(crate) fn with_body(status: u16, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}

pub(crate) fn set(answer: &mut Answer, name: HeaderName, value: impl AsRef<str>) {
    let value = HeaderValue::from_str(value.as_ref()).unwrap();
    answer.headers_mut().insert(name, value);
}
