//! Upgrades (RFC 9110, section 7.8): a connection that leaves HTTP, for WebSocket as a rule, becomes a tunnel.

use std::fmt;
use std::io;
use std::time::Duration;

use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{Response, StatusCode, Version};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// How long one side may go on after the other has closed.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// An upgrade that the caller asks for.
pub(super) struct Asked {
    protocols: HeaderValue,
    caller: OnUpgrade,
}

impl Asked {
    /// Takes the wish out of a request; none where there is none, or where the server before us cannot fulfil it.
    pub(super) fn take(parts: &mut Parts) -> Option<Self> {
        let asks = parts.version == Version::HTTP_11
            && tokens(&parts.headers, &CONNECTION).any(|token| token == "upgrade");
        if !asks {
            return None;
        }
        // A tunnel of HTTP/2 would lead around what every hop checks and counts. RFC 9113 has withdrawn that upgrade.
        let wanted: Vec<&str> = written(&parts.headers, &UPGRADE)
            .filter(|protocol| !protocol.eq_ignore_ascii_case("h2c"))
            .collect();
        let protocols = HeaderValue::from_str(&wanted.join(", ")).ok()?;
        let caller = parts.extensions.remove::<OnUpgrade>()?;
        (!protocols.is_empty()).then_some(Self { protocols, caller })
    }

    /// Asks the upstream; to be called when everything for one connection only has been removed.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        write(headers, self.protocols.clone());
    }

    /// The tunnel, if the upstream switched to something that was asked for. Its headers are changed to say so.
    pub(super) fn granted(self, response: &mut Response<hyper::body::Incoming>) -> Option<Tunnel> {
        let protocol = response.headers().get(UPGRADE)?.clone();
        let offered = self.protocols.to_str().ok()?.to_ascii_lowercase();
        let offered = |token: &str| offered.split(", ").any(|protocol| protocol == token);
        if !tokens(response.headers(), &UPGRADE).all(|token| offered(&token)) {
            return None;
        }
        let tunnel = Tunnel {
            caller: self.caller,
            upstream: hyper::upgrade::on(&mut *response),
        };
        super::headers::for_caller(response.headers_mut());
        write(response.headers_mut(), protocol);
        Some(tunnel)
    }
}

fn write(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// The elements of a header that is a list, as they are written.
fn written<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter();
    let lists = values.filter_map(|value| value.to_str().ok());
    let elements = lists.flat_map(|list| list.split(',')).map(str::trim);
    elements.filter(|element| !element.is_empty())
}

/// The same in lower case, for comparing.
fn tokens(headers: &HeaderMap, name: &HeaderName) -> impl Iterator<Item = String> {
    written(headers, name).map(str::to_ascii_lowercase)
}

/// Two connections that have left HTTP, to be joined by the server that holds the caller's: an extension of the 101.
///
/// The body of that answer lasts as long as the call: whoever runs the tunnel keeps it until then.
#[derive(Clone)]
pub struct Tunnel {
    caller: OnUpgrade,
    upstream: OnUpgrade,
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").finish_non_exhaustive()
    }
}

impl Tunnel {
    /// Takes the tunnel out of an answer.
    pub fn of<B>(response: &mut Response<B>) -> Option<Self> {
        let tunnel = response.extensions_mut().remove();
        tunnel.filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS)
    }

    /// Waits until the answer has been sent, then copies both ways until a side closes; what the other still has to say
    /// is passed on for a moment. Dropping the future closes both.
    pub async fn run(self) {
        let joined = async {
            let (caller, upstream) = tokio::try_join!(self.caller, self.upstream)?;
            Ok::<_, hyper::Error>((stream(caller), stream(upstream)))
        };
        match joined.await {
            Ok((caller, upstream)) => join(caller, upstream).await,
            Err(error) => tracing::debug!(%error, "an upgrade came to nothing"),
        }
    }
}

fn stream(upgraded: Upgraded) -> TokioIo<Upgraded> {
    TokioIo::new(upgraded)
}

async fn join(
    caller: impl AsyncRead + AsyncWrite + Unpin,
    upstream: impl AsyncRead + AsyncWrite + Unpin,
) {
    let (caller_says, caller_hears) = tokio::io::split(caller);
    let (upstream_says, upstream_hears) = tokio::io::split(upstream);
    let mut up = std::pin::pin!(pass_on(caller_says, upstream_hears));
    let mut down = std::pin::pin!(pass_on(upstream_says, caller_hears));
    // After an error there is nobody left to talk to.
    tokio::select! {
        ended = &mut up => if ended.is_ok() {
            let _ = tokio::time::timeout(LAST_WORDS, down).await;
        },
        ended = &mut down => if ended.is_ok() {
            let _ = tokio::time::timeout(LAST_WORDS, up).await;
        },
    }
}

async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    tokio::io::copy(&mut from, &mut to).await?;
    to.shutdown().await
}
