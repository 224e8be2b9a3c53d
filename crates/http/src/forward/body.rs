//! Bodies on their way through: a request's, which may have to start again, and a response's, which is watched.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::connect::is_silence;
use super::pool::Lease;
use super::upstream::InFlight;

/// What a body ends with when it may not end cleanly.
#[derive(Debug)]
pub(super) enum Broken {
    /// Nothing came for this long.
    Silent(Duration),
    /// The connection it came over broke.
    Source(Box<dyn std::error::Error + Send + Sync>),
    /// It is shorter than was said.
    Short,
    /// Nobody wants the answer any more.
    GivenUp,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(limit) => write!(f, "nothing came for {limit:?}"),
            Self::Source(error) => write!(f, "{error}"),
            Self::GivenUp => f.write_str("the call was given up"),
            Self::Short => f.write_str("it ended before its length was reached"),
        }
    }
}

impl std::error::Error for Broken {
    /// HTTP/2 passes its reason on: a call that is cancelled is cancelled everywhere.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Source(error) => Some(error.as_ref()),
            Self::Silent(_) | Self::Short | Self::GivenUp => None,
        }
    }
}

/// Whether a body that has ended lacks something. The library takes a reset without an error in HTTP/2 for an end,
/// because it may follow a whole answer (RFC 9113, section 8.1); before the end it must not pass for one.
fn is_short(body: &impl HttpBody) -> bool {
    !body.is_end_stream() && body.size_hint().exact().is_some_and(|left| left > 0)
}

/// Ends a body that makes no progress. The timer exists only while somebody waits.
struct Patience {
    limit: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn new(limit: Option<Duration>) -> Self {
        Self { limit, timer: None }
    }

    /// To be called when nothing is there: ready once it has been so for too long.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        let Some(limit) = self.limit else {
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + limit)));
        timer.as_mut().poll(cx).map(|()| Broken::Silent(limit))
    }

    fn progress(&mut self) {
        self.timer = None;
    }
}

/// How the caller's body fared, seen from the forwarder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fared {
    /// Nobody has asked for it, so another upstream may.
    Untouched,
    /// It is being sent, or was.
    Sent,
    /// The caller stopped sending in the middle.
    CallerSilent,
    /// The caller's connection broke in the middle.
    CallerGone,
}

/// The caller's body, held by the forwarder while an upstream is tried.
pub(super) struct Held(Arc<Inner>);

struct Inner {
    body: Mutex<(Body, Patience)>,
    fared: AtomicU8,
    /// Whether the answer has begun: from then on only its own silence counts. Who talks both ways at once may pause.
    answered: AtomicBool,
    given_up: AtomicBool,
    /// Whether all of it has been read.
    ended: AtomicBool,
    /// Whoever reads the body, to be told that.
    reader: AtomicWaker,
}

/// Ends the caller's body when dropped. Over HTTP/2 that is what ends the call: its other direction being gone is not
/// enough, and the upstream would work on for nobody.
pub(super) struct GiveUp(Arc<Inner>);

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.0.given_up.store(true, Ordering::Release);
        self.0.reader.wake();
    }
}

impl Held {
    pub(super) fn new(body: Body, silence: Option<Duration>) -> Self {
        Self(Arc::new(Inner {
            body: Mutex::new((body, Patience::new(silence))),
            fared: AtomicU8::new(0),
            answered: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            reader: AtomicWaker::new(),
        }))
    }

    /// Lets the caller be silent from now on.
    pub(super) fn answered(&self) {
        self.0.answered.store(true, Ordering::Release);
    }

    /// Whether there is nothing of it left to send.
    pub(super) fn has_ended(&self) -> bool {
        self.0.ended.load(Ordering::Acquire) || self.lend().is_end_stream()
    }

    /// To be kept with the answer.
    pub(super) fn give_up(&self) -> GiveUp {
        GiveUp(Arc::clone(&self.0))
    }

    /// The body for one try.
    pub(super) fn lend(&self) -> Lent {
        Lent(Arc::clone(&self.0))
    }

    pub(super) fn fared(&self) -> Fared {
        match self.0.fared.load(Ordering::Acquire) {
            0 => Fared::Untouched,
            1 => Fared::Sent,
            2 => Fared::CallerSilent,
            _ => Fared::CallerGone,
        }
    }
}

/// The caller's body as one upstream reads it.
pub(super) struct Lent(Arc<Inner>);

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.0.reader.register(cx.waker());
        if self.0.given_up.load(Ordering::Acquire) {
            return Poll::Ready(Some(Err(Broken::GivenUp)));
        }
        let mut inner = self.0.body.lock().unwrap_or_else(PoisonError::into_inner);
        let (body, patience) = &mut *inner;
        let fared = |fared: u8| self.0.fared.store(fared, Ordering::Release);
        fared(1);
        match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                patience.progress();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                fared(3);
                Poll::Ready(Some(Err(Broken::Source(error.into_inner()))))
            }
            Poll::Ready(None) if is_short(body) => {
                fared(3);
                Poll::Ready(Some(Err(Broken::Short)))
            }
            Poll::Ready(None) => {
                self.0.ended.store(true, Ordering::Release);
                Poll::Ready(None)
            }
            Poll::Pending if self.0.answered.load(Ordering::Acquire) => Poll::Pending,
            Poll::Pending => patience.poll_over(cx).map(|broken| {
                fared(2);
                Some(Err(broken))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0
            .body
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .body
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .size_hint()
    }
}

/// The upstream's body on its way to the caller. Ends in an error, never cleanly, when the upstream broke, so that the
/// caller's connection is cut and a truncated answer cannot pass for a whole one.
pub(super) struct Streamed {
    body: Incoming,
    patience: Patience,
    sized: bool,
    in_flight: InFlight,
    /// The connection that it comes over, where this call drives it; after the body, which is complete then.
    lease: Option<Lease>,
    /// How it broke off, to be told next.
    broken: Option<Broken>,
    _given_up: Option<GiveUp>,
}

impl Streamed {
    /// `sized` where the answer says its length itself.
    pub(super) fn new(
        body: Incoming,
        silence: Option<Duration>,
        sized: bool,
        in_flight: InFlight,
        lease: Option<Lease>,
        given_up: Option<GiveUp>,
    ) -> Self {
        Self {
            body,
            patience: Patience::new(silence),
            sized,
            in_flight,
            lease,
            broken: None,
            _given_up: given_up,
        }
    }
}

impl Streamed {
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match &mut self.lease {
            Some(lease) if frame.is_pending() => {
                lease.drive(cx);
                Pin::new(&mut self.body).poll_frame(cx)
            }
            _ => frame,
        }
    }
}

impl HttpBody for Streamed {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(broken) = self.broken.take() {
            return Poll::Ready(Some(Err(broken)));
        }
        let broken = match self.poll_body(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.patience.progress();
                return Poll::Ready(Some(Ok(frame)));
            }
            Poll::Ready(Some(Err(error))) => {
                if is_silence(&error) {
                    self.in_flight.upstream().eject();
                }
                Broken::Source(error.into())
            }
            Poll::Ready(None) if self.sized && is_short(&self.body) => Broken::Short,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => match self.patience.poll_over(cx) {
                Poll::Ready(broken) => broken,
                Poll::Pending => return Poll::Pending,
            },
        };
        tracing::warn!(%broken, "an upstream broke off in the middle of its answer; the caller's connection is cut");
        // Whoever sends it on first sends what it has, when it finds nothing more.
        self.broken = Some(broken);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    /// Only what the upstream said: the answers to HEAD, and 304, have no body but a length all the same, and a router
    /// that is told "empty" would write `Content-Length: 0` where the upstream kept silent.
    fn size_hint(&self) -> SizeHint {
        if self.sized {
            self.body.size_hint()
        } else {
            SizeHint::default()
        }
    }
}
