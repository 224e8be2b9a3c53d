//! What provider and sandbox say to each other over the control socket.
//!
//! A frame is a little-endian `u32` length and that many bytes of JSON. The listener travels beside the
//! first byte of the frame that holds [`Inside`].

use std::fmt;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Longest frame either side accepts: far above any deployment, far below what hurts.
const LONGEST_FRAME: usize = 16 * 1024 * 1024;

/// To the outer process: which namespaces to leave behind before anything else happens.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Namespaces {
    pub(super) user: bool,
    pub(super) pid: bool,
    pub(super) mount: bool,
    pub(super) network: bool,
}

impl fmt::Display for Namespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (self.user, "user"),
            (self.pid, "pid"),
            (self.mount, "mount"),
            (self.network, "network"),
        ];
        let mut asked = names.iter().filter(|(asked, _)| *asked);
        let Some((_, first)) = asked.next() else {
            return f.write_str("none");
        };
        f.write_str(first)?;
        asked.try_for_each(|(_, name)| write!(f, ", {name}"))
    }
}

/// To the inner process: everything it needs to build the room and start the program.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Inside {
    pub(super) program: Option<PathBuf>,
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: PathBuf,
    pub(super) uid: Option<u32>,
    pub(super) namespaces: Namespaces,
    pub(super) root: Option<Root>,
}

/// How the root directory of a replica differs from the machine's.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Root {
    pub(super) home: Option<PathBuf>,
    pub(super) hidden: Vec<PathBuf>,
    pub(super) read_only_dirs: Vec<ReadOnlyDir>,
    /// Files below the machine's /run that must stay readable, such as what /etc/resolv.conf points to.
    pub(super) run_files: Vec<PathBuf>,
    pub(super) secrets: Vec<(String, Vec<u8>)>,
    pub(super) read_only: bool,
    /// The program is root, to whom the machine's devices and kernel settings would obey.
    pub(super) for_root: bool,
    pub(super) tmp: Option<PathBuf>,
    pub(super) tmp_size_bytes: Option<u64>,
}

/// A directory bound read-only. The two paths differ where the operator named a symbolic link.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct ReadOnlyDir {
    pub(super) source: PathBuf,
    pub(super) target: PathBuf,
}

/// To the inner process, once the program runs.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) enum Order {
    /// SIGTERM to the program.
    Terminate,
    /// Stop every process, the inner one not included.
    Pause,
    /// Continue them.
    Resume,
}

/// From either process inside to the provider.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Report {
    /// The program never ran; why, in words.
    Failed(String),
    /// The program runs.
    Started {
        /// Why the room still has the machine's /proc, if it has.
        shared_proc: Option<String>,
    },
    /// The program ended with this wait status.
    Ended(i32),
}

/// The bytes of one frame.
pub(super) fn frame<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(message).map_err(io::Error::other)?;
    let length = u32::try_from(json.len()).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(4 + json.len());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&json);
    Ok(bytes)
}

/// How many bytes follow a length prefix.
pub(super) fn body_length(prefix: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(prefix) as usize;
    if length > LONGEST_FRAME {
        return Err(io::Error::other(format!("a frame of {length} bytes")));
    }
    Ok(length)
}

/// What a frame's body says.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> io::Result<T> {
    serde_json::from_slice(body).map_err(io::Error::other)
}

/// Reads exactly one frame, blocking, and not a byte more: the next one may carry the listener.
pub(super) fn read<T: DeserializeOwned>(mut socket: impl Read) -> io::Result<T> {
    let mut prefix = [0; 4];
    socket.read_exact(&mut prefix)?;
    read_body(prefix, socket)
}

/// Reads the rest of a frame whose prefix came by another road.
pub(super) fn read_body<T: DeserializeOwned>(
    prefix: [u8; 4],
    mut socket: impl Read,
) -> io::Result<T> {
    let mut body = vec![0; body_length(prefix)?];
    socket.read_exact(&mut body)?;
    parse(&body)
}

/// Writes one frame, blocking.
pub(super) fn write<T: Serialize>(mut socket: impl Write, message: &T) -> io::Result<()> {
    socket.write_all(&frame(message)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_frame_is_read_without_touching_the_next_one() {
        let mut bytes = frame(&Report::Ended(256)).unwrap();
        bytes.extend(frame(&Order::Terminate).unwrap());
        let mut rest = bytes.as_slice();
        assert!(matches!(read(&mut rest).unwrap(), Report::Ended(256)));
        assert!(matches!(read(&mut rest).unwrap(), Order::Terminate));
        assert!(rest.is_empty());
    }

    #[test]
    fn an_absurd_length_is_refused_before_anything_is_allocated() {
        assert!(body_length(u32::MAX.to_le_bytes()).is_err());
    }
}
