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
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::Interest;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::Instant;

use crate::alarm::Alarm;
use crate::answer::{Body, Response};
use crate::connection::Answering;

/// How often the connection is looked at.
const INTERVAL: Duration = Duration::from_millis(250);
/// How long a caller has to be gone. One that closed its side only is first told what was wrong with its body.
const GRACE: Duration = Duration::from_secs(1);

/// What the watches over calls that follow each other on a connection have in common.
#[derive(Clone)]
pub(crate) struct Caller {
    connection: Weak<OwnedWriteHalf>,
    /// The alarm, between two calls.
    alarm: Arc<Mutex<Option<Alarm>>>,
}

impl Caller {
    pub(crate) fn at(connection: Weak<OwnedWriteHalf>) -> Self {
        Self {
            connection,
            alarm: Arc::default(),
        }
    }

    fn alarm(&self, act: impl FnOnce(&mut Option<Alarm>) -> Option<Alarm>) -> Option<Alarm> {
        act(&mut self.alarm.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The watch over one call: whether its caller is there, and its answer not too late.
pub(crate) struct Watch {
    caller: Caller,
    alarm: Option<Alarm>,
    /// When the connection is looked at next.
    next: Instant,
    gone_since: Option<Instant>,
    /// When the answer has to have begun.
    end: Option<Instant>,
}

/// Why a call is over before its answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Over {
    #[error("no answer within write_timeout")]
    TooLate,
    #[error(transparent)]
    CallerGone(#[from] Gone),
}

impl Watch {
    /// Watches a call from `now` on.
    pub(crate) fn over(caller: Caller, now: Instant, end: Option<Instant>) -> Self {
        let next = now + INTERVAL;
        let alarm = caller
            .alarm(Option::take)
            .unwrap_or_else(|| Alarm::at(next));
        Self {
            caller,
            alarm: Some(alarm),
            next,
            gone_since: None,
            end,
        }
    }

    /// Ends when there is nobody to answer, or it is too late for that.
    pub(crate) async fn seen(&mut self) -> Over {
        std::future::poll_fn(|cx| self.poll_seen(cx)).await
    }

    /// The answer has begun: it may take longer.
    pub(crate) fn answered(&mut self) {
        self.end = None;
    }

    fn poll_seen(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        loop {
            let next = self.end.map_or(self.next, |end| end.min(self.next));
            let Some(alarm) = &mut self.alarm else {
                return Poll::Pending;
            };
            alarm.set(next);
            ready!(alarm.poll(cx));
            let now = Instant::now();
            if self.end.is_some_and(|end| end <= now) {
                return Poll::Ready(Over::TooLate);
            }
            if self.next <= now && self.looks_gone(now) {
                return Poll::Ready(Gone.into());
            }
        }
    }

    fn looks_gone(&mut self, now: Instant) -> bool {
        self.next = now + INTERVAL;
        if !is_closed(&self.caller.connection) {
            self.gone_since = None;
            return false;
        }
        now - *self.gone_since.get_or_insert(now) >= GRACE
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let alarm = self.alarm.take();
        self.caller.alarm(|kept| std::mem::replace(kept, alarm));
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

/// The body of an answer, broken off when its caller is gone.
pub(crate) struct Watched {
    body: Body,
    /// None where nobody needs to look.
    watch: Option<Watch>,
    /// Only its drop matters.
    _answering: Option<Answering>,
}

impl Watched {
    /// The same answer, watched.
    pub(crate) fn answer(
        response: Response,
        watch: Watch,
        answering: Answering,
    ) -> http::Response<Self> {
        response.map(|body| Self {
            body,
            watch: Some(watch),
            _answering: Some(answering),
        })
    }

    /// The same answer, unwatched.
    pub(crate) fn unwatched(response: Response) -> http::Response<Self> {
        response.map(|body| Self {
            body,
            watch: None,
            _answering: None,
        })
    }
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
        match &mut self.watch {
            Some(watch) => watch
                .poll_seen(cx)
                .map(|over| Some(Err(io::Error::other(over)))),
            None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
