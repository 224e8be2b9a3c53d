//! What happens to a request body that nobody read to its end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http::header::EXPECT;
use http::request::Parts;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::Handle;

/// How long the rest of a body is taken in and thrown away.
const LINGER: Duration = Duration::from_secs(5);

/// A caller's body that, dropped before its end, goes on being read for a while.
///
/// Without that the connection would be closed with bytes unread, the kernel would answer them with a reset, and a
/// caller who is still sending would lose our answer (413, 404, 502) to a `connection reset` (RFC 9112, section 9.6).
#[derive(Debug)]
pub struct Lingering {
    /// `None` once it has ended or broken.
    body: Option<Incoming>,
    /// Whether the caller waits for `100 Continue` and was not told so: then nothing is on its way.
    held_back: bool,
    /// Whether the connection is shared with other calls: what is left of this one is in nobody's way.
    shared: bool,
}

impl Lingering {
    /// The body of a request with this head.
    #[must_use]
    pub fn new(head: &Parts, body: Incoming) -> Self {
        Self {
            body: Some(body),
            held_back: head.headers.contains_key(EXPECT),
            shared: head.version == Version::HTTP_2,
        }
    }
}

impl Body for Lingering {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(cx);
        self.held_back = false;
        let frame = ready!(polled);
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Some(body) => body.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take() else {
            return;
        };
        if self.held_back || self.shared || body.is_end_stream() {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(tokio::time::timeout(LINGER, async move {
                while let Some(Ok(_)) = body.frame().await {}
            }));
        }
    }
}
