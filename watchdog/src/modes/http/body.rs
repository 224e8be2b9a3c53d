//! Bodies on their way through: the caller's, with its time limit, and the process's, with its own.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::request::Parts;
use bytes::Bytes;
use faas_http::Lingering;
use faas_http::forward::Body;
use futures_util::StreamExt;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Either, Empty, StreamBody};
use tokio::time::Instant;

use super::fault::{Fault, Limit};
use crate::access::Access;
use crate::alarm::Alarm;
use crate::request;
use crate::spool::Spool;

/// Whether the caller's body stopped coming: how its end is told from a hang-up.
#[derive(Clone, Debug, Default)]
pub(super) struct Stall(Arc<AtomicBool>);

impl Stall {
    /// The true reason: what looks like a caller who is gone may have been our own doing.
    pub(super) fn or(&self, fault: Fault) -> Fault {
        match fault {
            Fault::CallerGone if self.0.load(Ordering::Acquire) => Fault::Stalled,
            other => other,
        }
    }
}

/// The caller's body, which has to be there when `read_timeout` is over.
pub(super) struct Upload {
    body: Either<Lingering, Empty<Bytes>>,
    due: Option<Alarm>,
    stall: Stall,
}

impl Upload {
    pub(super) fn new(
        head: &Parts,
        body: request::Body,
        limit: Option<Duration>,
        stall: Stall,
    ) -> Self {
        let due = limit.and_then(|limit| Instant::now().checked_add(limit));
        Self {
            body: match body {
                Either::Left(body) => Either::Left(Lingering::new(head, body)),
                Either::Right(nothing) => Either::Right(nothing),
            },
            due: due.map(Alarm::at),
            stall,
        }
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        if let Some(due) = &mut self.due {
            std::task::ready!(due.poll(cx));
            self.stall.0.store(true, Ordering::Release);
            return Poll::Ready(Some(Err("the request body stalled".into())));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Takes the whole body in, in memory or a file; its length and the body to send.
pub(super) async fn keep(mut body: Body, directory: &Path) -> Result<(u64, Body), Fault> {
    let mut spool = Spool::new(directory);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Fault::CallerGone)?;
        if let Some(piece) = frame.data_ref() {
            spool.write(piece).await.map_err(Fault::Spool)?;
        }
    }
    let kept = spool.finish().await.map_err(Fault::Spool)?;
    let length = kept.length();
    let pieces = kept.into_stream().map(|piece| piece.map(Frame::data));
    let body = Whole {
        body: StreamBody::new(Box::pin(pieces)),
        length,
    };
    Ok((length, Body::new(body)))
}

/// A body whose length is known beforehand.
struct Whole<B> {
    body: B,
    length: u64,
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Whole<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.length == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

/// The process's body. At the deadline it breaks off, so that what is cut short does not look whole.
pub(super) struct Answer {
    body: Body,
    /// Read already, to guess the type.
    first: Option<Frame<Bytes>>,
    deadline: Option<(Limit, Alarm)>,
    /// Logs the call when the body has ended.
    pub(super) access: Option<Access>,
}

impl Answer {
    pub(super) fn new(body: Body, limit: Option<(Limit, Instant)>) -> Self {
        Self {
            body,
            first: None,
            deadline: limit.map(|(limit, end)| (limit, Alarm::at(end))),
            access: None,
        }
    }

    /// The beginning of the body, once it is there; none if there is no body.
    pub(super) async fn peek(&mut self) -> Result<Option<&Bytes>, Fault> {
        if self.body.is_end_stream() {
            return Ok(None);
        }
        let next = std::future::poll_fn(|cx| self.poll_next(cx)).await;
        self.first = next
            .transpose()
            .map_err(|error| match (error.kind(), &self.deadline) {
                (io::ErrorKind::TimedOut, Some((limit, _))) => Fault::TimedOut(*limit),
                _ => Fault::Upstream(error.to_string()),
            })?;
        Ok(self.first.as_ref().and_then(Frame::data_ref))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)));
        }
        let Some((limit, deadline)) = &mut self.deadline else {
            return Poll::Pending;
        };
        std::task::ready!(deadline.poll(cx));
        let words = format!("not whole within {limit}");
        Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, words))))
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let frame = match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => std::task::ready!(self.poll_next(cx)),
        };
        match &frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, |piece| piece.len() as u64);
                if let Some(access) = &mut self.access {
                    access.bytes += bytes;
                }
            }
            Some(Err(error)) => log!("Error copying response body: {error}"),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.first.as_ref().and_then(Frame::data_ref);
        let read = read.map_or(0, |piece| piece.len() as u64);
        match self.body.size_hint().exact() {
            Some(left) => SizeHint::with_exact(left + read),
            None => SizeHint::default(),
        }
    }
}
