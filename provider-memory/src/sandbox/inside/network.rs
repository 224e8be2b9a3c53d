//! Loopback in a fresh network namespace, which starts with it down.

use std::io;
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

const RTM_NEWLINK: u16 = 16;
const NLM_F_REQUEST_ACK: u16 = 0x1 | 0x4;
const NLMSG_ERROR: u16 = 2;
const IFF_UP: u32 = 1;
/// Loopback is the first interface of every network namespace.
const LOOPBACK_INDEX: i32 = 1;
/// Header (16 bytes) and `ifinfomsg` (16 bytes).
const REQUEST_LENGTH: u32 = 32;

/// `ip link set lo up`, without the program.
pub(super) fn raise_loopback() -> io::Result<()> {
    let route = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    send(route.as_raw_fd(), &request(), MsgFlags::empty())?;
    let mut answer = [0; 256];
    let length = recv(route.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    acknowledged(&answer[..length])
}

/// rtnetlink(7): `nlmsghdr` and `ifinfomsg`, native byte order.
fn request() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(REQUEST_LENGTH as usize);
    bytes.extend(REQUEST_LENGTH.to_ne_bytes());
    bytes.extend(RTM_NEWLINK.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    // Sequence, port; then family and padding, device type.
    bytes.extend([0; 8]);
    bytes.extend([0; 4]);
    bytes.extend(LOOPBACK_INDEX.to_ne_bytes());
    bytes.extend(IFF_UP.to_ne_bytes());
    // The mask of flags to change.
    bytes.extend(IFF_UP.to_ne_bytes());
    bytes
}

/// The answer is an `nlmsgerr`, whose error is zero or a negative errno.
fn acknowledged(answer: &[u8]) -> io::Result<()> {
    let malformed = || io::Error::other("an answer that is no acknowledgement");
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok());
    if kind.map(u16::from_ne_bytes) != Some(NLMSG_ERROR) {
        return Err(malformed());
    }
    let error = answer.get(16..20).and_then(|bytes| bytes.try_into().ok());
    match error.map(i32::from_ne_bytes).ok_or_else(malformed)? {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(-errno)),
    }
}
