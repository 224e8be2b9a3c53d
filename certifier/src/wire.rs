//! Below HTTP: what no well-behaved client would send, and answers that are read piece by piece.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use url::Url;

use crate::failure::{Failure, Outcome};
use crate::quote::quote;

/// As much of a long body as is kept for the report.
const QUOTED: usize = 2000;

/// More than any answer that is read this way.
const LARGEST: usize = 4 << 20;

/// A connection on which every byte is the check's own; where TLS is spoken, every byte inside of it.
pub(crate) struct Wire {
    stream: Box<dyn Connection>,
    sent: Vec<u8>,
}

pub(crate) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

impl Wire {
    /// Connects, and shakes hands where the URL is `https`.
    pub(crate) async fn connect(
        base: &str,
        tls: Arc<ClientConfig>,
        limit: Duration,
    ) -> Outcome<Self> {
        let url = Url::parse(base).map_err(|error| fault(&[], &error.to_string()))?;
        match timeout(limit, connect(&url, tls)).await {
            Ok(Ok(stream)) => Ok(Self {
                stream,
                sent: Vec::new(),
            }),
            Ok(Err(error)) => Err(fault(&[], &error.to_string())),
            Err(_) => Err(fault(&[], "no connection in time")),
        }
    }

    /// Sends bytes as they are.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Outcome {
        self.sent.extend_from_slice(bytes);
        let written = self.stream.write_all(bytes).await;
        written.map_err(|error| fault(&self.sent, &error.to_string()))
    }

    /// Sends bytes and reads at the same time, until the head of an answer is there: whoever refuses a long body may do so
    /// at any moment, and close the connection.
    pub(crate) async fn write_until_answered(
        &mut self,
        bytes: &[u8],
        limit: Duration,
    ) -> Outcome<Vec<u8>> {
        self.sent
            .extend_from_slice(&bytes[..bytes.len().min(QUOTED)]);
        let (mut reading, mut writing) = tokio::io::split(&mut self.stream);
        let mut received = Vec::new();
        let read = async {
            while !received.windows(4).any(|end| end == b"\r\n\r\n") {
                match reading.read_buf(&mut received).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
        };
        let write = async {
            // A refusal may come before the last byte has gone; what was received says more than this.
            let _ = writing.write_all(bytes).await;
            std::future::pending::<()>().await;
        };
        let ended = timeout(limit, async {
            tokio::select! {
                () = read => {}
                () = write => {}
            }
        });
        match ended.await {
            Ok(()) => Ok(received),
            Err(_) => Err(fault(&self.sent, &format!("none in {limit:?}"))),
        }
    }

    /// Says that nothing more will be sent, and goes on listening.
    pub(crate) async fn finish(&mut self) -> Outcome {
        let finished = self.stream.shutdown().await;
        finished.map_err(|error| fault(&self.sent, &error.to_string()))
    }

    /// Reads until `enough` says so or the other side is done; an error if neither comes in time.
    pub(crate) async fn read_until(
        &mut self,
        limit: Duration,
        enough: impl Fn(&[u8]) -> bool,
    ) -> Outcome<Vec<u8>> {
        let deadline = Instant::now() + limit;
        let mut bytes = Vec::new();
        while !enough(&bytes) && bytes.len() < LARGEST {
            match timeout_at(deadline, self.stream.read_buf(&mut bytes)).await {
                Ok(Ok(0)) => break,
                Ok(Ok(_)) => {}
                // A reset is an end too; what came before it counts.
                Ok(Err(_)) => break,
                Err(_) => {
                    let got = format!("only {:?} in {limit:?}", quote(&bytes));
                    return Err(fault(&self.sent, &got));
                }
            }
        }
        Ok(bytes)
    }

    /// A failure with what was sent on this connection as its evidence.
    pub(crate) fn fault(&self, expected: &str, received: &[u8]) -> Failure {
        Failure {
            expected: expected.to_owned(),
            ..fault(&self.sent, &quote(received))
        }
    }
}

/// A connection to where the URL leads, in TLS where it is `https`.
pub(crate) async fn connect(url: &Url, tls: Arc<ClientConfig>) -> io::Result<Box<dyn Connection>> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(80);
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    if url.scheme() != "https" {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let stream = TlsConnector::from(tls).connect(name, stream).await?;
    Ok(Box::new(stream))
}

fn fault(sent: &[u8], got: &str) -> Failure {
    Failure {
        sent: quote(sent),
        ..Failure::new("an answer", got)
    }
}

/// An answer whose body is read piece by piece. Dropping it hangs up.
pub(crate) struct Stream {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// What came after the body, once its end has been read.
    pub(crate) trailers: HeaderMap,
    sent: String,
    body: Incoming,
}

impl Stream {
    pub(crate) fn new(response: hyper::Response<Incoming>, sent: String) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status.as_u16(),
            headers: head.headers,
            trailers: HeaderMap::new(),
            sent,
            body,
        }
    }

    /// The next piece as the network gave it; `None` at the end; an error if neither comes in time, or if the body breaks
    /// off.
    pub(crate) async fn next(&mut self, limit: Duration) -> Outcome<Option<Vec<u8>>> {
        let piece = chunk_or(&mut self.body, |trailers| self.trailers.extend(trailers));
        match timeout(limit, piece).await {
            Ok(Ok(piece)) => Ok(piece.map(|piece| piece.to_vec())),
            Ok(Err(error)) => Err(self.fault("another piece, or a clean end", &error.to_string())),
            Err(_) => Err(self.fault("another piece, or the end", &format!("none in {limit:?}"))),
        }
    }

    /// A failure with this request as its evidence.
    pub(crate) fn fault(&self, expected: &str, got: &str) -> Failure {
        Failure {
            sent: self.sent.clone(),
            received: format!("status {}", self.status),
            ..Failure::new(expected, got)
        }
    }
}

/// The next piece of a body; trailers are passed over.
pub(crate) async fn chunk(body: &mut Incoming) -> hyper::Result<Option<Bytes>> {
    chunk_or(body, drop).await
}

/// The next piece of a body; trailers are given to `keep`.
async fn chunk_or(
    body: &mut Incoming,
    mut keep: impl FnMut(HeaderMap),
) -> hyper::Result<Option<Bytes>> {
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) => return Ok(Some(data)),
            Err(other) => keep(other.into_trailers().unwrap_or_default()),
        }
    }
    Ok(None)
}
