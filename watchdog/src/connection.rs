//! A connection that knows until when an answer may be written.
//!
//! HTTP libraries time the reading of headers; a caller who does not read its answer is ours to notice.

use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use nix::sys::socket::{Shutdown, shutdown};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, Sleep, sleep_until};

/// The moment after which nothing more is written on a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct WriteDeadline(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    deadline: Option<Instant>,
    /// The whole answer has been handed over and only needs to be flushed.
    answered: bool,
}

impl WriteDeadline {
    /// Sets the deadline of the next answer.
    pub(crate) fn set(&self, deadline: Option<Instant>) {
        self.change(|state| {
            state.deadline = deadline;
            state.answered = false;
        });
    }

    fn answered(&self) {
        self.change(|state| state.answered = true);
    }

    /// Nothing waits to be written: between answers there is no deadline.
    fn flushed(&self) {
        self.change(|state| {
            if state.answered {
                state.deadline = None;
            }
        });
    }

    fn get(&self) -> Option<Instant> {
        self.change(|state| state.deadline)
    }

    fn change<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Held by the body of an answer: dropped when all of it has been handed over.
pub(crate) struct Answering(pub(crate) WriteDeadline);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answered();
    }
}

/// A TCP connection whose writes fail once the deadline has passed.
pub(crate) struct Connection {
    read: OwnedReadHalf,
    /// Shared with whoever watches for the caller's end.
    write: Arc<OwnedWriteHalf>,
    deadline: WriteDeadline,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, deadline: WriteDeadline) -> Self {
        let (read, write) = stream.into_split();
        Self {
            read,
            write: Arc::new(write),
            deadline,
            timer: None,
        }
    }

    /// The connection as it is seen by those who must not keep it open.
    pub(crate) fn downgrade(&self) -> Weak<OwnedWriteHalf> {
        Arc::downgrade(&self.write)
    }

    /// Fails if the deadline has passed; otherwise sees to it that the task wakes when it does.
    fn check(&mut self, cx: &mut Context<'_>, waiting: bool) -> io::Result<()> {
        let Some(deadline) = self.deadline.get() else {
            self.timer = None;
            return Ok(());
        };
        if deadline <= Instant::now() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if waiting {
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            timer.as_mut().reset(deadline);
            let _ = timer.as_mut().poll(cx);
        }
        Ok(())
    }

    fn write_with<T>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        write: impl Fn(&OwnedWriteHalf) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        self.check(cx, false)?;
        while self
            .write
            .as_ref()
            .as_ref()
            .poll_write_ready(cx)?
            .is_ready()
        {
            match write(&self.write) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
        self.check(cx, true)?;
        Poll::Pending
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write_with(cx, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write_with(cx, |stream| stream.try_write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.write.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Callers flush when their own buffers are empty, and a socket has none: the answer is out.
        self.deadline.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let socket = self.write.as_ref().as_ref().as_raw_fd();
        Poll::Ready(shutdown(socket, Shutdown::Write).map_err(io::Error::from))
    }
}
