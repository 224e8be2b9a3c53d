//! The one forwarder: the gateway, the providers and the watchdog differ only in how they find the upstreams and in what
//! they count around the call.
//!
//! It streams both ways with back-pressure and never holds a body, keeps `Content-Length` where there is one, sends the
//! path and query as they came, does not follow redirects, does not decompress, and knows no proxy variables. Dropping
//! the future or the response's body cancels the upstream's call.

mod body;
mod connect;
mod failure;
mod headers;
mod line;
mod lost;
mod pool;
mod upgrade;
mod upstream;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use axum::body::Body;
use http::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::{PathAndQuery, Scheme, Uri};
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use crate::PeerAddr;
use crate::http2;
use body::{Fared, Held, Lent, Streamed};
use connect::{Connector, Served, is_silence};
pub use failure::Failure;
use failure::failure;
pub use headers::{
    FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO, REMAINING_MS, for_upstream, strip_hop_by_hop,
};
use lost::Lost;
use pool::{Lease, Pool};
use upgrade::Asked;
pub use upgrade::Tunnel;
use upstream::InFlight;
pub use upstream::Upstream;

/// How long a connection may take; the next upstream is tried then.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an upstream's system may acknowledge nothing before ours gives the connection up. It looks every second, so
/// that five seconds after a machine was lost no connection to it is left that a call could be sent over.
const TCP_SILENCE: Duration = Duration::from_secs(4);
/// How long an idle connection is kept. Shorter than any watchdog keeps its side (30 s), so that it is seldom stale.
const POOL_IDLE: Duration = Duration::from_secs(20);
/// How often one upstream may refuse a call over HTTP/2 before the caller is told.
const MOST_REFUSALS: u32 = 3;

/// What hops do differently.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Whether `Host` goes on as the caller sent it. Otherwise the upstream reads its own address there, and
    /// `X-Forwarded-Host` and `X-Forwarded-Proto` tell what the caller asked.
    pub keep_host: bool,
    /// How long an idle connection is kept: less than any upstream keeps its side, so that it is seldom stale.
    pub idle: Duration,
    /// What is spoken with upstreams.
    pub protocol: Protocol,
}

/// What is spoken with an upstream. Upgrades are carried by HTTP/1.1 in any case: HTTP/2 has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge, all calls over one connection.
    Http2,
    /// HTTP/1.1, and HTTP/2 for calls of gRPC that came that way: they cannot do without it.
    #[default]
    AsCalled,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            keep_host: false,
            idle: POOL_IDLE,
            protocol: Protocol::default(),
        }
    }
}

/// Forwards calls. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Forwarder {
    pool: Arc<Pool>,
    multiplexed: Client<Connector, Lent>,
    silence: Option<Duration>,
    keep_host: bool,
    protocol: Protocol,
}

/// What an upstream answered, and the connection that the rest comes over, where it is this call's alone.
struct Answer {
    response: Response<Incoming>,
    lease: Option<Lease>,
}

impl Forwarder {
    /// A forwarder that gives up a body, in either direction, in which nothing moves for `silence`.
    #[must_use]
    pub fn new(silence: Option<Duration>) -> Self {
        Self::in_manner(silence, Manner::default())
    }

    /// The same with something done differently.
    #[must_use]
    pub fn in_manner(silence: Option<Duration>, manner: Manner) -> Self {
        let connector = Connector::new(CONNECT_TIMEOUT, TCP_SILENCE);
        Self {
            pool: Pool::new(connector.clone(), manner.idle),
            multiplexed: multiplexed(connector, manner.idle),
            silence,
            keep_host: manner.keep_host,
            protocol: manner.protocol,
        }
    }

    /// Sends `request` on to one of `upstreams` under the path and query `target`, and gives its answer as it comes.
    ///
    /// The answer has to begin within `limit`, or within what `X-Remaining-Ms` says is left, whichever is shorter. An
    /// upstream that cannot be reached is passed over as long as nothing of the body was asked for. An upgrade that the
    /// caller asked for and the upstream granted is a 101 with a [`Tunnel`], which the server has to run.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn forward(
        &self,
        request: Request<Body>,
        upstreams: &[Arc<Upstream>],
        target: &str,
        limit: Option<Duration>,
    ) -> Result<Response<Body>, Failure> {
        let (mut parts, body) = request.into_parts();
        let left = headers::remaining(&parts.headers, limit);
        let deadline = left.map(|left| Instant::now() + left);
        let peer: Option<IpAddr> = parts.extensions.get::<PeerAddr>().map(|peer| peer.0.ip());
        let asked = Asked::take(&mut parts);
        let http2 = asked.is_none() && self.speaks_http2(&parts);
        // HTTP/2 says whom it asks beside the headers, and that is the upstream.
        headers::for_upstream(&mut parts.headers, peer, self.keep_host && !http2);
        parts.version = if http2 {
            Version::HTTP_2
        } else {
            Version::HTTP_11
        };
        if let Some(asked) = &asked {
            asked.write(&mut parts.headers);
        }

        let body = Held::new(body, self.silence);
        let answer = async {
            let (answer, upstream, in_flight) = self
                .try_each(&parts, &body, upstreams, target, deadline)
                .await?;
            self.incoming(answer, asked, &body, upstream, in_flight)
        };
        match deadline {
            None => answer.await,
            Some(deadline) => tokio::time::timeout_at(deadline, answer)
                .await
                .unwrap_or_else(|_| Err(too_late(left.unwrap_or_default(), limit))),
        }
    }

    fn speaks_http2(&self, parts: &Parts) -> bool {
        match self.protocol {
            Protocol::Http1 => false,
            Protocol::Http2 => true,
            Protocol::AsCalled => {
                parts.version == Version::HTTP_2 && http2::is_grpc(&parts.headers)
            }
        }
    }

    async fn try_each<'a>(
        &self,
        parts: &Parts,
        body: &Held,
        upstreams: &'a [Arc<Upstream>],
        target: &str,
        deadline: Option<Instant>,
    ) -> Result<(Answer, &'a Upstream, InFlight), Failure> {
        let mut tried = Vec::new();
        let mut refused = 0;
        let mut last = Failure::NoUpstream;
        while let Some((upstream, in_flight)) = upstream::enter(upstreams, &tried) {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let request = outgoing(parts, body.lend(), upstream, target, left)?;
            let lost = match self.ask(upstream, request).await {
                Ok(answer) => {
                    body.answered();
                    return Ok((answer, upstream, in_flight));
                }
                Err(lost) => lost,
            };
            last = failure(&lost, upstream, body.fared());
            if is_silence(lost.error()) {
                upstream.eject();
            }
            match again(&last, &lost, &parts.method, body.fared()) {
                Again::No => return Err(last),
                Again::Refused if refused == MOST_REFUSALS => return Err(last),
                Again::Refused => refused += 1,
                Again::Anew => {
                    tracing::debug!(?upstream, "an idle connection had been closed; trying anew");
                }
                Again::Elsewhere => {
                    let error = lost.error();
                    tracing::debug!(?upstream, %error, "an upstream cannot be reached; trying another");
                    upstream.eject();
                    tried.push(Arc::clone(upstream));
                }
            }
        }
        Err(last)
    }

    /// One try at one upstream.
    async fn ask(&self, upstream: &Upstream, request: Request<Lent>) -> Result<Answer, Lost> {
        if request.version() == Version::HTTP_2 {
            let response = self.multiplexed.request(request).await;
            let response = response.map_err(Lost::Shared)?;
            Served::note(response.extensions());
            return Ok(Answer {
                response,
                lease: None,
            });
        }
        let mut line = self.pool.line(upstream.authority()).await?;
        let response = line.send(request).await?;
        Ok(Answer {
            response,
            lease: Some(self.pool.lease(line)),
        })
    }

    fn incoming(
        &self,
        answer: Answer,
        asked: Option<Asked>,
        sent: &Held,
        upstream: &Upstream,
        in_flight: InFlight,
    ) -> Result<Response<Body>, Failure> {
        let Answer {
            mut response,
            mut lease,
        } = answer;
        let mut tunnel = None;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let granted = asked.and_then(|asked| asked.granted(&mut response));
            tunnel = Some(granted.ok_or_else(|| unasked(upstream))?);
        } else {
            headers::for_caller(response.headers_mut());
        }
        let given_up = lease.is_none().then(|| sent.give_up());
        // Whoever reads the answer drives the connection, and may be slow at it: no upload waits for that.
        if (tunnel.is_some() || !sent.has_ended())
            && let Some(lease) = lease.take()
        {
            lease.detach();
        }
        let (parts, body) = response.into_parts();
        let sized = parts.headers.contains_key(CONTENT_LENGTH);
        let body = Streamed::new(body, self.silence, sized, in_flight, lease, given_up);
        let mut answer = Response::new(Body::new(body));
        *answer.status_mut() = parts.status;
        *answer.headers_mut() = parts.headers;
        if let Some(tunnel) = tunnel {
            answer.extensions_mut().insert(tunnel);
        }
        Ok(answer)
    }
}

fn unasked(upstream: &Upstream) -> Failure {
    Failure::Broken {
        authority: upstream.authority().to_string(),
        reason: "it switched protocols, which nobody asked for".to_owned(),
    }
}

/// Which of the two limits it was.
fn too_late(left: Duration, limit: Option<Duration>) -> Failure {
    match limit {
        Some(limit) if limit <= left => Failure::TimedOut(limit),
        _ => Failure::NoTimeLeft(left),
    }
}

/// Whether a call that failed may be made again.
enum Again {
    No,
    /// An idle connection was closed just when the call was sent over it.
    Anew,
    /// The upstream says that it has not looked at the call: its connection is going, or has too many of them.
    Refused,
    /// Nothing was sent; another upstream may take it.
    Elsewhere,
}

fn again(failure: &Failure, lost: &Lost, method: &Method, fared: Fared) -> Again {
    match failure {
        _ if fared != Fared::Untouched => Again::No,
        Failure::Unreachable { .. } => Again::Elsewhere,
        Failure::Broken { .. } if lost.is_refusal() => Again::Refused,
        Failure::Broken { .. } if lost.is_stale(method) => Again::Anew,
        _ => Again::No,
    }
}

/// A client that speaks HTTP/2 from the first byte.
fn multiplexed(connector: Connector, idle: Duration) -> Client<Connector, Lent> {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(idle)
        .http2_only(true)
        .http2_max_header_list_size(http2::HEADER_LIMIT_BYTES)
        .http2_initial_stream_window_size(http2::WINDOW_BYTES)
        .http2_initial_connection_window_size(http2::ALL_WINDOWS_BYTES)
        .http2_keep_alive_interval(http2::ALIVE_INTERVAL)
        .http2_keep_alive_timeout(http2::ALIVE_TIMEOUT)
        .build(connector)
}

fn outgoing(
    parts: &Parts,
    body: Lent,
    upstream: &Upstream,
    target: &str,
    left: Option<Duration>,
) -> Result<Request<Lent>, Failure> {
    let bad = || Failure::BadTarget(target.to_owned());
    let path = match upstream.prefix() {
        "" => PathAndQuery::try_from(target),
        prefix => PathAndQuery::try_from(format!("{prefix}{target}")),
    };
    let path = path.map_err(|_| bad())?;
    let http2 = parts.version == Version::HTTP_2;
    let uri = if http2 {
        Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(upstream.authority().clone())
            .path_and_query(path)
            .build()
            .map_err(|_| bad())?
    } else {
        Uri::from(path)
    };
    // Said aloud, because the library takes a GET without a length for one without a body.
    let chunked = !http2 && body.size_hint().exact().is_none();
    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = uri;
    *request.version_mut() = parts.version;
    *request.headers_mut() = parts.headers.clone();
    if !http2 && !parts.headers.contains_key(HOST) {
        let host = HeaderValue::from_str(upstream.host()).map_err(|_| bad())?;
        request.headers_mut().insert(HOST, host);
    }
    headers::set_remaining(request.headers_mut(), left);
    if chunked {
        let chunked = HeaderValue::from_static("chunked");
        request.headers_mut().insert(TRANSFER_ENCODING, chunked);
    }
    Ok(request)
}
