//! Where callbacks come in: a small server of this program's own.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::failure::Failure;
use crate::quote::quote;

/// Longer than any result that a check asks for.
const LONGEST: usize = 1 << 20;

/// More than any platform should post for one call.
const MOST: usize = 20;

/// A callback that came.
#[derive(Clone, Debug)]
pub(crate) struct Callback {
    method: String,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What came, by the path that it was asked to come to. Nothing else is kept.
type Received = Arc<Mutex<HashMap<String, Vec<Callback>>>>;

/// Listens until it is dropped.
pub(crate) struct Sink {
    base: String,
    received: Received,
    listening: AbortHandle,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Sink {
    /// Listens at `address`, HOST or HOST:PORT; the platform is told to come there. Where the host is no address of this
    /// machine's, something passes on what comes to it, and it may come from anywhere. Without a host it is this machine by
    /// its name, which is how containers find each other.
    pub(crate) async fn open(address: &str) -> io::Result<Self> {
        let (host, port) = parts(address);
        let everywhere = (Ipv4Addr::UNSPECIFIED, port);
        let (host, listener) = match host {
            // Its name may be that of one of several addresses here.
            "" => (own_name()?, TcpListener::bind(everywhere).await?),
            host => {
                let listener = match TcpListener::bind((host, port)).await {
                    Ok(listener) => listener,
                    Err(_) => TcpListener::bind(everywhere).await?,
                };
                (host.to_owned(), listener)
            }
        };
        let port = listener.local_addr()?.port();
        let base = match host.parse::<IpAddr>() {
            Ok(ip) => format!("http://{}", SocketAddr::new(ip, port)),
            Err(_) => format!("http://{host}:{port}"),
        };
        let received = Received::default();
        let task = tokio::spawn(listen(listener, received.clone()));
        Ok(Self {
            base,
            received,
            listening: task.abort_handle(),
        })
    }

    /// A URL for the results of one check; its last part is `name`.
    pub(crate) fn expect(&self, name: &str) -> String {
        let path = format!("/{name}");
        let url = format!("{}{path}", self.base);
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        received.entry(path).or_default();
        url
    }

    /// What has come to it.
    pub(crate) fn received(&self, name: &str) -> Vec<Callback> {
        let received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        let came = received.get(&format!("/{name}"));
        came.cloned().unwrap_or_default()
    }
}

/// Host and port; any port where none is given.
fn parts(address: &str) -> (&str, u16) {
    let split = address.rsplit_once(':');
    let split = split.filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let split = split.and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = split.unwrap_or((address, 0));
    (host.trim_matches(['[', ']']), port)
}

fn own_name() -> io::Result<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    Ok(name.trim_end().to_owned())
}

async fn listen(listener: TcpListener, received: Received) {
    while let Ok((stream, _)) = listener.accept().await {
        let received = received.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| take(&received, request));
            // Who breaks off has posted nothing.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn take(
    received: &Received,
    request: Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let mut answer = Response::new(Empty::new());
    let Ok(body) = Limited::new(body, LONGEST).collect().await else {
        *answer.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(answer);
    };
    let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
    match received.get_mut(head.uri.path()) {
        Some(came) if came.len() < MOST => came.push(Callback {
            method: head.method.to_string(),
            headers: head.headers,
            body: body.to_bytes(),
        }),
        _ => *answer.status_mut() = StatusCode::NOT_FOUND,
    }
    Ok(answer)
}

impl Callback {
    /// A header's value, empty when it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// A failure with this callback as its evidence.
    pub(crate) fn fault(&self, expected: impl Into<String>, got: impl Into<String>) -> Failure {
        Failure {
            received: self.describe(),
            ..Failure::new(expected, got)
        }
    }

    fn describe(&self) -> String {
        let mut text = format!("a callback: {}", self.method);
        for (name, value) in &self.headers {
            text.push_str(&format!("\n{name}: {}", quote(value.as_bytes())));
        }
        if !self.body.is_empty() {
            text.push('\n');
            text.push_str(&quote(&self.body));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[test]
    fn an_address_may_have_a_port() {
        for (address, host, port) in [
            ("127.0.0.1", "127.0.0.1", 0),
            ("127.0.0.1:9000", "127.0.0.1", 9000),
            ("certifier", "certifier", 0),
            ("certifier:9000", "certifier", 9000),
            ("::1", "::1", 0),
            ("[::1]:9000", "::1", 9000),
            (":9000", "", 9000),
        ] {
            assert_eq!(parts(address), (host, port), "{address}");
        }
    }

    #[tokio::test]
    async fn without_a_host_it_is_this_machine_by_its_name() {
        let name = own_name().unwrap();
        let sink = Sink::open(":0").await.unwrap();
        let url = sink.expect("call");
        let port = url.strip_prefix(&format!("http://{name}:")).unwrap();
        let port = port.strip_suffix("/call").unwrap().parse().unwrap();
        for address in [[127, 0, 0, 1], [127, 0, 0, 2]] {
            let address = SocketAddr::from((address, port));
            assert!(TcpStream::connect(address).await.is_ok(), "{address}");
        }
    }
}
