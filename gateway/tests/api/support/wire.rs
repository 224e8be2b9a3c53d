//! One end of a connection, played by hand.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::soon;

pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// A connection over which a request without a body was sent.
    pub(crate) async fn asking(address: SocketAddr, method: &str, target: &str) -> Self {
        let mut wire = Self::to(address).await;
        wire.send(format!("{method} {target} HTTP/1.1\r\nHost: test\r\n\r\n"))
            .await;
        wire
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon("room to send", self.stream.write_all(bytes.as_ref()))
            .await
            .unwrap();
    }

    /// Everything up to and with `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let end = end.as_bytes();
        loop {
            let mut windows = self.unread.windows(end.len());
            if let Some(at) = windows.position(|window| window == end) {
                let taken: Vec<u8> = self.unread.drain(..at + end.len()).collect();
                return String::from_utf8(taken).unwrap();
            }
            let got = soon("bytes", self.stream.read_buf(&mut self.unread)).await;
            let so_far = String::from_utf8_lossy(&self.unread);
            assert!(got.unwrap() > 0, "the connection ended after {so_far:?}");
        }
    }

    pub(crate) async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    /// One chunk of a chunked body, without its frame; empty for the last one.
    pub(crate) async fn chunk(&mut self) -> String {
        self.until("\r\n").await;
        let chunk = self.until("\r\n").await;
        chunk.trim_end_matches("\r\n").to_owned()
    }

    /// Whatever comes until the other side closes or resets the connection.
    pub(crate) async fn rest(&mut self) -> String {
        let read = async { while let Ok(1..) = self.stream.read_buf(&mut self.unread).await {} };
        soon("the connection's end", read).await;
        String::from_utf8_lossy(&std::mem::take(&mut self.unread)).into_owned()
    }
}
