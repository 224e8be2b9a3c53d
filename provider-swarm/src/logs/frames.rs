//! The engine's log stream: frames of an eight-byte header (the stream's number, three zeros, the length, big end first)
//! and a payload. Nothing is searched for in it: a length may contain any byte, a newline's too.

use bytes::{Buf, Bytes, BytesMut};

/// Length of a header.
const HEADER_BYTES: usize = 8;
/// Longest payload that is taken; the engine cuts lines at 16 KiB.
const LIMIT_BYTES: usize = 1024 * 1024;

/// Takes frames out of pieces as they come.
#[derive(Default)]
pub(crate) struct Frames {
    buffer: BytesMut,
}

/// The stream is not made of frames.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes, which no log has")]
pub(crate) struct TooLong(usize);

impl Frames {
    /// Adds what came.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole payload, if there is one.
    ///
    /// # Errors
    /// When what comes cannot be a log; nothing after it can be read.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        let Some(length) = self.buffer.get(4..HEADER_BYTES) else {
            return Ok(None);
        };
        let length = length
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        if length > LIMIT_BYTES {
            return Err(TooLong(length));
        }
        if self.buffer.len() < HEADER_BYTES + length {
            return Ok(None);
        }
        self.buffer.advance(HEADER_BYTES);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[1, 0, 0, 0], length.as_slice(), payload].concat()
    }

    #[test]
    fn frames_come_out_whole_however_they_are_cut() {
        // Ten bytes: the length is a newline.
        let payloads: [&[u8]; 5] = [
            b"123456789\n",
            b"",
            b"\n",
            &[b'x'; 2570],
            b"\xff\n\x01\0\0\0",
        ];
        let stream: Vec<u8> = payloads.iter().flat_map(|payload| frame(payload)).collect();
        for size in [1, 2, 7, 8, 9, 100, stream.len()] {
            let mut frames = Frames::default();
            let mut found = Vec::new();
            for piece in stream.chunks(size) {
                frames.push(piece);
                while let Some(payload) = frames.next().unwrap() {
                    found.push(payload);
                }
            }
            assert_eq!(found, payloads, "in pieces of {size}");
        }
    }

    #[test]
    fn what_cannot_be_a_frame_is_not_waited_for() {
        let mut frames = Frames::default();
        frames.push(b"HTTP/1.1 200");
        assert!(frames.next().is_err());
    }
}
