//! Moving bytes in and out of a function process.

use std::io;

use nix::fcntl::{FcntlArg, fcntl};
use nix::unistd::read;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::input::Input;
use super::stdin::Stdin;
use crate::lines::LineLog;
use crate::log;
use crate::spool::Spool;

/// How much is read at once: the size of a pipe.
const CHUNK_BYTES: usize = 64 * 1024;

/// How much is read at first: most functions write little, and many nothing on stderr.
const FIRST_CHUNK_BYTES: usize = 4 * 1024;

/// When to stop waiting for a pipe: set once the process has ended, and then only its descendants hold it.
#[derive(Clone)]
pub(super) struct Patience(watch::Receiver<Option<Instant>>);

impl Patience {
    /// Patience without end, and the means to end it.
    pub(super) fn new() -> (watch::Sender<Option<Instant>>, Self) {
        let (sender, receiver) = watch::channel(None);
        (sender, Self(receiver))
    }

    /// Ends when it does.
    pub(super) async fn over(&mut self) {
        let end = self.0.wait_for(Option::is_some).await.map(|end| *end);
        match end {
            Ok(Some(end)) => sleep_until(end).await,
            _ => std::future::pending().await,
        }
    }
}

/// Writes the input and closes stdin. A function that does not read it is fine.
///
/// When dropped before the end it does not close stdin: that is for whoever kills the process.
pub(super) async fn feed(
    stdin: &mut Option<Stdin>,
    mut input: Input,
    mut patience: Patience,
) -> io::Result<()> {
    while let (Some(pipe), Some(chunk)) = (stdin.as_mut(), input.next().await?) {
        let written = tokio::select! {
            written = pipe.write_all(&chunk) => written,
            () = patience.over() => break,
        };
        if written.is_err() {
            break;
        }
    }
    *stdin = None;
    Ok(())
}

/// Reads until every holder of the pipe has closed it, or patience is over and nothing more lies in the pipe.
pub(super) async fn drain(
    mut pipe: Receiver,
    mut patience: Patience,
    sink: &mut impl Sink,
) -> io::Result<()> {
    let mut chunk = Vec::with_capacity(FIRST_CHUNK_BYTES);
    loop {
        if chunk.len() == chunk.capacity() {
            chunk = Vec::with_capacity(CHUNK_BYTES);
        }
        chunk.clear();
        let read = tokio::select! {
            read = pipe.read_buf(&mut chunk) => read?,
            () = patience.over() => break,
        };
        if read == 0 {
            return Ok(());
        }
        sink.take(&chunk).await?;
    }
    last_words(&pipe, sink).await
}

/// What a process that has ended left in the pipe, and no more: beyond the size of the pipe a descendant is talking.
async fn last_words(pipe: &Receiver, sink: &mut impl Sink) -> io::Result<()> {
    let size = fcntl(pipe, FcntlArg::F_GETPIPE_SZ).ok();
    let mut left = size
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(CHUNK_BYTES);
    let mut chunk = vec![0; CHUNK_BYTES];
    while left > 0 {
        // Not through the runtime, which need not know yet that there is something. The pipe does not block.
        let read = match read(pipe, &mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        sink.take(&chunk[..read]).await?;
        left = left.saturating_sub(read);
    }
    Ok(())
}

/// Where what a process writes goes.
pub(crate) trait Sink {
    fn take(&mut self, chunk: &[u8]) -> impl Future<Output = io::Result<()>> + Send;
}

impl Sink for Spool {
    fn take(&mut self, chunk: &[u8]) -> impl Future<Output = io::Result<()>> + Send {
        self.write(chunk)
    }
}

impl Sink for LineLog {
    async fn take(&mut self, chunk: &[u8]) -> io::Result<()> {
        Self::take(self, chunk);
        Ok(())
    }
}

impl Sink for ErrorLog {
    async fn take(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(chunk);
        if self.0.len() > log::LONGEST_ENTRY_BYTES {
            let line_end = self.0.iter().rposition(|byte| *byte == b'\n');
            let rest = self
                .0
                .split_off(line_end.map_or(self.0.len(), |end| end + 1));
            self.write();
            self.0 = rest;
        }
        Ok(())
    }
}

/// Logs what a process writes on stderr in one go, in pieces of whole lines if it is much; nothing is lost when a call is
/// cut short.
#[derive(Default)]
pub(super) struct ErrorLog(Vec<u8>);

impl ErrorLog {
    fn write(&mut self) {
        log::output("stderr: ", &self.0);
        self.0.clear();
    }
}

impl Drop for ErrorLog {
    fn drop(&mut self) {
        self.write();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::io::{PipeWriter, Write};
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// Counts what it takes, slowly enough for a writer to fill the pipe again.
    #[derive(Default)]
    struct Count(usize);

    impl Sink for Count {
        async fn take(&mut self, chunk: &[u8]) -> io::Result<()> {
            tokio::time::sleep(Duration::from_millis(5)).await;
            self.0 += chunk.len();
            Ok(())
        }
    }

    /// How much is read from a pipe once the process has ended and patience is over.
    async fn drained(fill: impl FnOnce(PipeWriter)) -> usize {
        let (reader, writer) = io::pipe().unwrap();
        let pipe = Receiver::from_owned_fd(OwnedFd::from(reader)).unwrap();
        fill(writer);
        let (over, patience) = Patience::new();
        over.send_replace(Some(Instant::now() - Duration::from_secs(1)));
        let mut count = Count::default();
        timeout(Duration::from_secs(5), drain(pipe, patience, &mut count))
            .await
            .expect("an end")
            .unwrap();
        count.0
    }

    #[tokio::test]
    async fn what_lies_in_the_pipe_is_read_however_late() {
        let mut held = None;
        let length = drained(|mut writer| {
            writer.write_all(&[b'x'; CHUNK_BYTES]).unwrap();
            held = Some(writer);
        });
        assert_eq!(length.await, CHUNK_BYTES);
    }

    #[tokio::test]
    async fn a_descendant_that_never_stops_talking_is_left() {
        let length = drained(|mut writer| {
            writer.write_all(&[b'x'; CHUNK_BYTES]).unwrap();
            // Ends with the reader: std ignores SIGPIPE.
            std::thread::spawn(move || while writer.write_all(&[b'x'; CHUNK_BYTES]).is_ok() {});
        });
        assert!(length.await <= 3 * CHUNK_BYTES);
    }
}
