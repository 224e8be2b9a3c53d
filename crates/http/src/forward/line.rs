//! A connection to an upstream that carries HTTP/1.1, one call at a time.
//!
//! The call that uses it does its reading and writing itself: no task stands between the two, and nothing is handed from
//! one to the other. Only an upload that goes on while the answer is sent, and an upgrade, get a task of their own.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::uri::Authority;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::body::Lent;
use super::lost::Lost;

/// Largest response head; more is [`Broken`](super::Failure::Broken). Bounds memory against an upstream that never ends
/// its headers.
const HEAD_LIMIT_BYTES: usize = 1024 * 1024;
/// Most headers of a response; more is [`Broken`](super::Failure::Broken). The library sets aside 64 bytes for each.
const MOST_HEADERS: usize = 1000;

/// The library's connection; its type has no name.
type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// The connection, in use or not.
pub(super) struct Line {
    authority: Authority,
    sender: SendRequest<Lent>,
    /// Reads and writes; none once the connection has ended.
    driver: Option<Driver>,
    /// Whether a call was answered over it.
    served: bool,
    idle_since: Instant,
}

impl Line {
    /// Takes up HTTP on an open connection.
    pub(super) async fn over(
        stream: TokioIo<TcpStream>,
        authority: Authority,
    ) -> hyper::Result<Self> {
        let (sender, connection) = Builder::new()
            // Header names look as they always did.
            .title_case_headers(true)
            .max_buf_size(HEAD_LIMIT_BYTES)
            .max_headers(MOST_HEADERS)
            .handshake(stream)
            .await?;
        Ok(Self {
            authority,
            sender,
            driver: Some(Box::pin(connection.with_upgrades())),
            served: false,
            idle_since: Instant::now(),
        })
    }

    /// Whom it leads to.
    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// No call uses it from now on.
    pub(super) fn rest(&mut self) {
        self.idle_since = Instant::now();
    }

    /// How long no call has used it.
    pub(super) fn idle(&self) -> Duration {
        self.idle_since.elapsed()
    }

    /// Makes a call over it; the answer's body comes while the connection is [driven](Self::drive).
    pub(super) async fn send(
        &mut self,
        request: Request<Lent>,
    ) -> Result<Response<Incoming>, Lost> {
        let mut answer = std::pin::pin!(self.sender.try_send_request(request));
        let answer = std::future::poll_fn(|cx| {
            drive(&mut self.driver, cx);
            answer.as_mut().poll(cx)
        })
        .await
        .map_err(|error| Lost::call(error, self.served))?;
        self.served = true;
        Ok(answer)
    }

    /// Reads and writes as far as it goes now, and sees to it that the task wakes when more can be done.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.driver, cx);
    }

    /// Whether the last call is through.
    pub(super) fn is_through(&mut self) -> bool {
        self.sender.is_ready() || self.is_free()
    }

    /// Whether it can carry another call: the last one is through, and the other side has not closed it.
    pub(super) fn is_free(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Ready once the call is through, or the connection at its end.
    pub(super) fn poll_free(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.drive(cx);
        if self.driver.is_none() {
            return Poll::Ready(());
        }
        self.sender.poll_ready(cx).map(drop)
    }
}

/// How it ends is told to the call whose answer or whose body is missing.
fn drive(driver: &mut Option<Driver>, cx: &mut Context<'_>) {
    let ended = driver
        .as_mut()
        .is_some_and(|driver| driver.as_mut().poll(cx).is_ready());
    if ended {
        *driver = None;
    }
}
