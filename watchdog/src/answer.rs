//! Answers, and who made them: what the platform says carries `X-OpenFaaS-Internal`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http::header::{CONNECTION, CONTENT_TYPE, HeaderName, LOCATION, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};

use crate::sniff;
use crate::spool::Kept;

/// The body of an answer: memory or a file.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;
/// What goes back to the caller.
pub(crate) type Response = http::Response<Body>;

/// Names the hop that made an answer, so that callers can tell it from the function's.
pub(crate) const INTERNAL: HeaderName = HeaderName::from_static("x-openfaas-internal");

/// Longer outputs are sent chunked.
// Compat: outputs of up to 2048 bytes have a Content-Length, others do not.
const LONGEST_WITH_LENGTH_BYTES: u64 = 2048;

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    with(status, body)
}

/// An answer in words, given exactly as they stand.
pub(crate) fn plain(status: StatusCode, words: impl Into<Bytes>) -> Response {
    let body = Full::new(words.into()).map_err(|never| match never {});
    let mut response = with(status, body.boxed_unsync());
    content_type(&mut response, HeaderValue::from_static(sniff::TEXT));
    response
}

/// A failure that is the platform's, not the function's.
pub(crate) fn fault(status: StatusCode, words: &str) -> Response {
    from_hop(plain(status, format!("{words}\n")), "of-watchdog")
}

/// Marks an answer as made by a hop of the platform.
pub(crate) fn from_hop(mut response: Response, hop: &'static str) -> Response {
    let hop = HeaderValue::from_static(hop);
    response.headers_mut().insert(INTERNAL, hop);
    response
}

/// The answer to a request that breaks the protocol. The connection ends with it.
pub(crate) fn malformed(why: &str) -> Response {
    let words = format!("400 Bad Request: {why}\n");
    closing(plain(StatusCode::BAD_REQUEST, words))
}

/// The same answer, after which the connection is closed.
pub(crate) fn closing(mut response: Response) -> Response {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}

/// The unknown path of a server that has no function behind it.
pub(crate) fn not_found() -> Response {
    not_to_guess(plain(StatusCode::NOT_FOUND, "404 page not found\n"))
}

/// The same answer, whose type a browser may not guess anew.
pub(crate) fn not_to_guess(mut response: Response) -> Response {
    let nosniff = HeaderValue::from_static("nosniff");
    response
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

/// Sends the caller to another path, with the method and body kept.
pub(crate) fn redirect(method: &Method, location: &str) -> Response {
    let mut response = match *method {
        Method::GET | Method::HEAD => html_redirect(location),
        _ => empty(StatusCode::TEMPORARY_REDIRECT),
    };
    if let Ok(location) = HeaderValue::from_bytes(location.as_bytes()) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// Text made fit for HTML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
}

fn html_redirect(location: &str) -> Response {
    let page = format!(
        "<a href=\"{}\">Temporary Redirect</a>.\n\n",
        escaped(location)
    );
    let mut response = plain(StatusCode::TEMPORARY_REDIRECT, page);
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    content_type(&mut response, html);
    response
}

/// What a function wrote, after `preface`.
pub(crate) fn output(status: StatusCode, preface: String, kept: Kept) -> Response {
    let length = preface.len() as u64 + kept.length();
    let preface = stream::iter((!preface.is_empty()).then(|| Ok(Bytes::from(preface))));
    let pieces = preface.chain(kept.into_stream());
    let body = StreamBody::new(pieces.map(|piece| piece.map(Frame::data)));
    let body = Sized {
        inner: body.boxed_unsync(),
        length: (length <= LONGEST_WITH_LENGTH_BYTES).then_some(length),
    };
    with(status, body.boxed_unsync())
}

/// What a function writes, as it comes.
pub(crate) fn stream(
    status: StatusCode,
    pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Response {
    let body = StreamBody::new(pieces.map(|piece| piece.map(Frame::data)));
    with(status, body.boxed_unsync())
}

pub(crate) fn content_type(response: &mut Response, value: HeaderValue) {
    response.headers_mut().insert(CONTENT_TYPE, value);
}

fn with(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// A body that tells its length, or keeps it to itself.
struct Sized {
    inner: Body,
    length: Option<u64>,
}

impl http_body::Body for Sized {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.length == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A body that keeps something until it is sent or given up: a place, a count.
struct Holding<T> {
    body: Body,
    /// Only its drop matters.
    _held: T,
}

impl<T: Unpin> http_body::Body for Holding<T> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The same answer, holding something while its body is sent.
pub(crate) fn holding<T: Send + Unpin + 'static>(response: Response, held: T) -> Response {
    response.map(|body| Holding { body, _held: held }.boxed_unsync())
}
