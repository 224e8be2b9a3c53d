//! Keeping a body until it is whole: in memory while it is small, else in a file without a name.

use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::try_unfold;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use crate::sniff;

/// Larger bodies go to a file, so that memory does not grow with them.
const MEMORY_LIMIT_BYTES: usize = 1024 * 1024;

/// Size of the pieces in which a kept body is read again: a multiple of three, for base64.
const CHUNK_BYTES: usize = 96 * 1024;

/// A body that is still coming in.
#[derive(Debug)]
pub(crate) struct Spool {
    directory: PathBuf,
    memory: Vec<u8>,
    file: Option<File>,
    head: Vec<u8>,
    length: u64,
}

/// A whole body, to be read once.
#[derive(Debug)]
pub(crate) struct Kept {
    source: Source,
    head: Vec<u8>,
    length: u64,
}

#[derive(Debug)]
enum Source {
    /// The bytes, and those of them still to be read.
    Memory(Bytes, Bytes),
    File(File),
}

impl Spool {
    /// An empty one; its file, if it needs one, will be in this directory.
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            memory: Vec::new(),
            file: None,
            head: Vec::new(),
            length: 0,
        }
    }

    /// Appends bytes. Fails when the disk is full, for one.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.length += bytes.len() as u64;
        if self.file.is_none() && self.memory.len() + bytes.len() > MEMORY_LIMIT_BYTES {
            self.move_to_file().await?;
        }
        match &mut self.file {
            Some(file) => file.write_all(bytes).await,
            None => {
                self.memory.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    async fn move_to_file(&mut self) -> io::Result<()> {
        let memory = std::mem::take(&mut self.memory);
        self.head = head_of(&memory);
        let mut file = File::from_std(tempfile::tempfile_in(&self.directory)?);
        file.write_all(&memory).await?;
        self.file = Some(file);
        Ok(())
    }

    /// Ends the body.
    pub(crate) async fn finish(self) -> io::Result<Kept> {
        let (source, head) = match self.file {
            Some(mut file) => {
                // The last write is reported here.
                file.flush().await?;
                file.seek(SeekFrom::Start(0)).await?;
                (Source::File(file), self.head)
            }
            None => {
                let head = head_of(&self.memory);
                let bytes = Bytes::from(self.memory);
                (Source::Memory(bytes.clone(), bytes), head)
            }
        };
        Ok(Kept {
            source,
            head,
            length: self.length,
        })
    }
}

impl Kept {
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The first bytes, for guessing the type.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let chunk = match &mut self.source {
            Source::Memory(_, rest) => rest.split_to(rest.len().min(CHUNK_BYTES)),
            Source::File(file) => {
                let mut chunk = Vec::with_capacity(CHUNK_BYTES);
                file.take(CHUNK_BYTES as u64)
                    .read_to_end(&mut chunk)
                    .await?;
                chunk.into()
            }
        };
        Ok(Some(chunk).filter(|chunk| !chunk.is_empty()))
    }

    /// Begins again.
    pub(crate) async fn rewind(&mut self) -> io::Result<()> {
        match &mut self.source {
            Source::Memory(all, rest) => {
                *rest = all.clone();
                Ok(())
            }
            Source::File(file) => file.seek(SeekFrom::Start(0)).await.map(drop),
        }
    }

    /// The pieces as a stream.
    pub(crate) fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> {
        try_unfold(self, |mut kept| async move {
            Ok(kept.next().await?.map(|chunk| (chunk, kept)))
        })
    }
}

fn head_of(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len().min(sniff::LOOKED_AT_BYTES)].to_vec()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_body_of_any_size_can_be_read_again() {
        for size in [0, 10, MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES + 1, 3_000_000] {
            let body: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            let mut spool = Spool::new(&std::env::temp_dir());
            for piece in body.chunks(10_000) {
                spool.write(piece).await.unwrap();
            }
            let mut kept = spool.finish().await.unwrap();
            assert_eq!(kept.length(), size as u64);
            assert_eq!(kept.head(), &body[..size.min(512)]);
            for _ in 0..2 {
                let mut read = Vec::new();
                while let Some(chunk) = kept.next().await.unwrap() {
                    read.extend_from_slice(&chunk);
                }
                assert!(read == body, "{size}");
                kept.rewind().await.unwrap();
            }
        }
    }
}
