//! The first bytes of a connection, which say whether it speaks HTTP/1 or HTTP/2.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What a client sends first that knows, without having asked, that HTTP/2 is spoken (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection whose protocol is known.
#[derive(Debug)]
pub enum Opening<S> {
    /// HTTP/1.1 or 1.0, or something that is no HTTP.
    Http1(Replayed<S>),
    /// HTTP/2 with prior knowledge.
    Http2(Replayed<S>),
}

impl<S: AsyncRead + Unpin> Opening<S> {
    /// Reads as far as it takes to know: one byte for most. How long that may take is up to the caller.
    ///
    /// # Errors
    /// When the connection breaks before.
    pub async fn of(mut stream: S) -> io::Result<Self> {
        let mut first = [0; PREFACE.len()];
        let mut read = 0;
        let http2 = loop {
            let more = stream.read(&mut first[read..]).await?;
            read += more;
            if more == 0 || first[..read] != PREFACE[..read] {
                break false;
            }
            if read == first.len() {
                break true;
            }
        };
        let replayed = Replayed {
            stream,
            first,
            unread: 0..read,
        };
        Ok(if http2 {
            Self::Http2(replayed)
        } else {
            Self::Http1(replayed)
        })
    }
}

/// A connection whose first bytes were read already, and come again.
#[derive(Debug)]
pub struct Replayed<S> {
    stream: S,
    first: [u8; PREFACE.len()],
    unread: std::ops::Range<usize>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Replayed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, into);
        }
        let count = self.unread.len().min(into.remaining());
        let from = self.unread.start;
        into.put_slice(&self.first[from..from + count]);
        self.unread.start += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Replayed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn opened(bytes: &[u8]) -> (bool, Vec<u8>) {
        let (http2, mut stream) = match Opening::of(bytes).await.unwrap() {
            Opening::Http1(stream) => (false, stream),
            Opening::Http2(stream) => (true, stream),
        };
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        (http2, all)
    }

    #[tokio::test]
    async fn the_first_bytes_tell_and_come_again() {
        let http2 = [PREFACE.as_slice(), b"and more"].concat();
        assert_eq!(opened(&http2).await, (true, http2));
        for other in [
            "",
            "PRI",
            "PRI * HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\n\r\nbody",
            "\x16\x03",
        ] {
            let other = other.as_bytes();
            assert_eq!(opened(other).await, (false, other.to_vec()));
        }
    }
}
