//! The inner end of the control socket, which is also the lifeline: its end means the provider's end.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::sandbox::wire::{self, Inside, Report};

/// The control socket, which the provider made our standard input.
pub(super) fn socket() -> io::Result<UnixStream> {
    let control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // Fails for anything but a socket: somebody typed the argument by hand.
    control.peer_addr()?;
    Ok(control)
}

/// Takes the frame that says what to run, and the listener beside it.
pub(super) fn receive(control: &UnixStream) -> io::Result<(Inside, Option<OwnedFd>)> {
    let mut prefix = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        control,
        &mut [IoSliceMut::new(&mut prefix)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL,
    )?;
    if received.bytes != prefix.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let listener = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    Ok((wire::read_body(prefix, control)?, listener))
}

/// Tells the provider. A provider that is gone cannot be told, and its end ends us anyway.
pub(super) fn report(control: &UnixStream, report: &Report) {
    let _ = wire::write(control, report);
}
