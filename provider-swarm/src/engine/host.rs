//! Where the engine listens, and one connection to it.

use std::path::PathBuf;
use std::time::Duration;

use faas_http::env::Setting;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// Longest wait for a connection to the engine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// `DOCKER_HOST`: a socket on this machine, or an address without TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DockerHost {
    /// `unix:///path`.
    Unix(PathBuf),
    /// `tcp://host:port`.
    Tcp(String),
}

impl Setting for DockerHost {
    const KIND: &'static str = "unix:///path or tcp://host:port";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is neither unix:///path nor tcp://host:port");
        match text.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(("tcp", address)) => {
                let address = address.trim_end_matches('/');
                let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
                match (host.is_empty(), port.parse::<u16>()) {
                    (false, Ok(_)) => Ok(Self::Tcp(address.to_owned())),
                    _ => Err(wrong()),
                }
            }
            _ => Err(wrong()),
        }
    }
}

impl std::fmt::Display for DockerHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// What a connection reads and writes.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

impl DockerHost {
    /// A new connection.
    pub(crate) async fn connect(&self) -> std::io::Result<Box<dyn Io>> {
        let connect = async {
            Ok(match self {
                Self::Unix(path) => Box::new(UnixStream::connect(path).await?) as Box<dyn Io>,
                Self::Tcp(address) => {
                    let stream = TcpStream::connect(address).await?;
                    stream.set_nodelay(true)?;
                    Box::new(stream)
                }
            })
        };
        tokio::time::timeout(CONNECT_TIMEOUT, connect)
            .await
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
    }

    /// The `Host` header.
    pub(crate) fn authority(&self) -> &str {
        match self {
            Self::Unix(_) => "docker",
            Self::Tcp(address) => address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_as_operators_write_them() {
        let socket = DockerHost::Unix("/var/run/docker.sock".into());
        assert_eq!(
            DockerHost::parse("unix:///var/run/docker.sock"),
            Ok(socket.clone())
        );
        assert_eq!(socket.to_string(), "unix:///var/run/docker.sock");
        assert_eq!(
            DockerHost::parse("tcp://proxy:2375/"),
            Ok(DockerHost::Tcp("proxy:2375".into()))
        );
        for text in [
            "",
            "proxy:2375",
            "unix://relative",
            "tcp://proxy",
            "tcp://:2375",
            "ssh://h:22",
            "tcp://h:x",
        ] {
            assert!(DockerHost::parse(text).is_err(), "{text}");
        }
    }
}
