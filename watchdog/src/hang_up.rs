//! Callers who hang up in the middle of an upload that nobody is reading.
//!
//! The HTTP library notices the end of a connection when it reads it, and it reads a body only as fast as the function
//! takes it. A function that never reads would work on for nobody until a timeout; so, while a call goes on, the
//! connection is asked from time to time what the kernel knows of it. That costs no system call.
//!
//! What it cannot see: an end that waits in the caller's machine behind bytes for which there is no room here.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::io::Interest;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::{Instant, Sleep, sleep};

use crate::answer::{Body, Response};
use crate::connection::Answering;

/// How often the connection is looked at.
const INTERVAL: Duration = Duration::from_millis(250);
/// How long a caller has to be gone. One that closed its side only is first told what was wrong with its body.
const GRACE: Duration = Duration::from_secs(1);

/// The watch over one call's connection.
pub(crate) struct HangUp {
    connection: Weak<OwnedWriteHalf>,
    next: Option<Pin<Box<Sleep>>>,
    gone_since: Option<Instant>,
}

impl HangUp {
    pub(crate) fn of(connection: Weak<OwnedWriteHalf>) -> Self {
        Self {
            connection,
            next: None,
            gone_since: None,
        }
    }

    /// Ends once the caller is gone.
    pub(crate) async fn seen(&mut self) {
        std::future::poll_fn(|cx| self.poll_seen(cx)).await;
    }

    fn poll_seen(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let next = self.next.get_or_insert_with(|| Box::pin(sleep(INTERVAL)));
            ready!(next.as_mut().poll(cx));
            next.as_mut().reset(Instant::now() + INTERVAL);
            if !is_closed(&self.connection) {
                self.gone_since = None;
                continue;
            }
            let since = *self.gone_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= GRACE {
                return Poll::Ready(());
            }
        }
    }
}

/// Whether the other side has sent its last byte, read or not.
fn is_closed(connection: &Weak<OwnedWriteHalf>) -> bool {
    let Some(connection) = connection.upgrade() else {
        return true;
    };
    let ready = connection.as_ref().as_ref().ready(Interest::READABLE);
    matches!(ready.now_or_never(), Some(Ok(ready)) if ready.is_read_closed())
}

/// Nobody is there for the answer any more.
#[derive(Debug)]
pub(crate) struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the caller hung up in the middle of its body")
    }
}

impl std::error::Error for Gone {}

/// The same answer, broken off when its caller is gone.
pub(crate) fn watched(response: Response, hang_up: HangUp, answering: Answering) -> Response {
    response.map(|body| {
        let watched = Watched {
            body,
            hang_up,
            _answering: answering,
        };
        watched.boxed_unsync()
    })
}

struct Watched {
    body: Body,
    hang_up: HangUp,
    /// Only its drop matters.
    _answering: Answering,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        ready!(self.hang_up.poll_seen(cx));
        Poll::Ready(Some(Err(io::Error::other(Gone))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
