//! A process's stdin.

use std::io::{self, PipeWriter};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::Sender;

use super::spawn::not_to_block;

/// Our end of the pipe. Most inputs are empty or fit into it: the runtime hears only of those that do not.
pub(super) struct Stdin(End);

enum End {
    New(PipeWriter),
    Waited(Sender),
    /// It could not be handed to the runtime.
    Broken,
}

impl Stdin {
    pub(super) fn new(pipe: PipeWriter) -> Self {
        Self(End::New(pipe))
    }

    /// Writes all of it, as fast as the process takes it.
    pub(super) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let left = match &self.0 {
            End::New(pipe) => &bytes[write_some(pipe, bytes)?..],
            End::Waited(_) | End::Broken => bytes,
        };
        if left.is_empty() {
            return Ok(());
        }
        self.0 = match std::mem::replace(&mut self.0, End::Broken) {
            End::New(pipe) => End::Waited(Sender::from_owned_fd_unchecked(OwnedFd::from(pipe))?),
            end => end,
        };
        match &mut self.0 {
            End::Waited(pipe) => pipe.write_all(left).await,
            End::New(_) | End::Broken => Err(Errno::EPIPE.into()),
        }
    }
}

/// As much as there is room for.
fn write_some(pipe: &PipeWriter, bytes: &[u8]) -> io::Result<usize> {
    not_to_block(pipe)?;
    match nix::unistd::write(pipe, bytes) {
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(0),
        written => Ok(written?),
    }
}
