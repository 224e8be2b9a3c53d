//! The one forwarder: the gateway, the providers and the watchdog differ only in how they find the upstreams and in what
//! they count around the call.
//!
//! It streams both ways with back-pressure and never holds a body, keeps `Content-Length` where there is one, sends the
//! path and query as they came, does not follow redirects, does not decompress, and knows no proxy variables. Dropping
//! the future or the response's body cancels the upstream's call.

mod body;
mod connect;
mod headers;
mod upstream;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::{PathAndQuery, Scheme, Uri};
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use crate::PeerAddr;
use body::{Fared, Held, Lent, Streamed};
use connect::{Connector, Served};
pub use headers::{FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO, REMAINING_MS};
use upstream::InFlight;
pub use upstream::Upstream;

/// How long a connection may take; the next upstream is tried then.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long sent bytes may stay unacknowledged before the kernel gives the connection up.
const TCP_SILENCE: Duration = Duration::from_secs(5);
/// How long an idle connection is kept. Shorter than any watchdog keeps its side (30 s), so that it is seldom stale.
const POOL_IDLE: Duration = Duration::from_secs(20);
/// Largest response head; more is [`Failure::Broken`]. Bounds memory against an upstream that never ends its headers.
const HEAD_LIMIT_BYTES: usize = 1024 * 1024;

/// Why a call got no answer from upstream.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There was nobody to forward to.
    #[error("there is no upstream")]
    NoUpstream,
    /// Nobody could be reached; nothing was sent.
    #[error("{authority} cannot be reached: {reason}")]
    Unreachable {
        /// Who was tried last.
        authority: String,
        /// The system's words.
        reason: String,
    },
    /// The connection broke, or what came was no HTTP, before the answer began. The call may have run.
    #[error("{authority} gave no answer: {reason}")]
    Broken {
        /// Who was asked.
        authority: String,
        /// The library's words.
        reason: String,
    },
    /// The answer did not begin in time.
    #[error("no answer within {}", crate::duration::format(*.0))]
    TimedOut(Duration),
    /// The answer did not begin in the time that the caller gave with `X-Remaining-Ms`.
    #[error("no answer within the {}ms that were left", .0.as_millis())]
    NoTimeLeft(Duration),
    /// The caller stopped sending its body.
    #[error("the request body stalled")]
    CallerSilent,
    /// The caller hung up in the middle of its body.
    #[error("the caller hung up")]
    CallerGone,
    /// The path cannot be sent on.
    #[error("`{0}` is no request path")]
    BadTarget(String),
}

impl Failure {
    /// The only place where a failure to forward becomes a number.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoUpstream => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unreachable { .. } | Self::Broken { .. } => StatusCode::BAD_GATEWAY,
            Self::TimedOut(_) | Self::NoTimeLeft(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::CallerSilent => StatusCode::REQUEST_TIMEOUT,
            Self::CallerGone | Self::BadTarget(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// What the caller reads: which limit was hit, and no address of ours.
    #[must_use]
    pub fn to_caller(&self, limit_name: &str) -> String {
        match self {
            Self::TimedOut(limit) => format!(
                "no answer within {limit_name}={}",
                crate::duration::format(*limit)
            ),
            Self::NoTimeLeft(left) => {
                format!("no answer within X-Remaining-Ms={}", left.as_millis())
            }
            Self::Unreachable { .. } => "no replica can be reached".to_owned(),
            Self::Broken { .. } => "the replica broke off before it answered".to_owned(),
            other => other.to_string(),
        }
    }
}

/// Forwards calls. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Forwarder {
    client: Client<Connector, Lent>,
    silence: Option<Duration>,
}

impl Forwarder {
    /// A forwarder that gives up a body, in either direction, in which nothing moves for `silence`.
    #[must_use]
    pub fn new(silence: Option<Duration>) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .http1_title_case_headers(true)
            .http1_max_buf_size(HEAD_LIMIT_BYTES)
            .build(Connector::new(CONNECT_TIMEOUT, TCP_SILENCE));
        Self { client, silence }
    }

    /// Sends `request` on to one of `upstreams` under the path and query `target`, and gives its answer as it comes.
    ///
    /// The answer has to begin within `limit`, or within what `X-Remaining-Ms` says is left, whichever is shorter. An
    /// upstream that cannot be reached is passed over as long as nothing of the body was asked for.
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
        headers::for_upstream(&mut parts.headers, peer);

        let body = Held::new(body, self.silence);
        let answer = self.try_each(&parts, &body, upstreams, target, deadline);
        match deadline {
            None => answer.await,
            Some(deadline) => tokio::time::timeout_at(deadline, answer)
                .await
                .unwrap_or_else(|_| Err(too_late(left.unwrap_or_default(), limit))),
        }
    }

    async fn try_each(
        &self,
        parts: &Parts,
        body: &Held,
        upstreams: &[Arc<Upstream>],
        target: &str,
        deadline: Option<Instant>,
    ) -> Result<Response<Body>, Failure> {
        let mut tried = Vec::new();
        let mut last = Failure::NoUpstream;
        while let Some(upstream) = upstream::choose(upstreams, &tried) {
            let in_flight = upstream.enter();
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let request = outgoing(parts, body.lend(), upstream, target, left)?;
            let error = match self.client.request(request).await {
                Ok(response) => {
                    Served::note(response.extensions());
                    body.answered();
                    return self.incoming(response, upstream, in_flight);
                }
                Err(error) => error,
            };
            last = failure(&error, upstream, body.fared());
            match again(&last, &error, parts, body.fared()) {
                Again::No => return Err(last),
                Again::Anew => {
                    tracing::debug!(?upstream, "an idle connection had been closed; trying anew");
                }
                Again::Elsewhere => {
                    tracing::debug!(?upstream, %error, "an upstream cannot be reached; trying another");
                    upstream.eject();
                    tried.push(Arc::clone(upstream));
                }
            }
        }
        Err(last)
    }

    fn incoming(
        &self,
        response: Response<hyper::body::Incoming>,
        upstream: &Upstream,
        in_flight: InFlight,
    ) -> Result<Response<Body>, Failure> {
        let (mut parts, body) = response.into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Failure::Broken {
                authority: upstream.authority().to_string(),
                reason: "it switched protocols, which nobody asked for".to_owned(),
            });
        }
        headers::for_caller(&mut parts.headers);
        let sized = parts.headers.contains_key(CONTENT_LENGTH);
        let mut answer = Response::new(Body::new(Streamed::new(
            body,
            self.silence,
            sized,
            in_flight,
        )));
        *answer.status_mut() = parts.status;
        *answer.headers_mut() = parts.headers;
        Ok(answer)
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
    /// Nothing was sent; another upstream may take it.
    Elsewhere,
}

fn again(failure: &Failure, error: &ClientError, parts: &Parts, fared: Fared) -> Again {
    match failure {
        _ if fared != Fared::Untouched => Again::No,
        Failure::Unreachable { .. } => Again::Elsewhere,
        // RFC 9112, section 9.3.1: only what is safe to repeat, and only where it was not the first on its connection.
        Failure::Broken { .. }
            if parts.method.is_safe() && Served::before(error.connect_info()) =>
        {
            Again::Anew
        }
        _ => Again::No,
    }
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
    let uri = Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(upstream.authority().clone())
        .path_and_query(path.map_err(|_| bad())?)
        .build()
        .map_err(|_| bad())?;
    // Said aloud, because the library takes a GET without a length for one without a body.
    let chunked = body.size_hint().exact().is_none();
    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = parts.headers.clone();
    headers::set_remaining(request.headers_mut(), left);
    if chunked {
        let chunked = HeaderValue::from_static("chunked");
        request.headers_mut().insert(TRANSFER_ENCODING, chunked);
    }
    Ok(request)
}

fn failure(error: &ClientError, upstream: &Upstream, fared: Fared) -> Failure {
    let authority = upstream.authority().to_string();
    match fared {
        Fared::CallerSilent => Failure::CallerSilent,
        Fared::CallerGone => Failure::CallerGone,
        Fared::Untouched | Fared::Sent if error.is_connect() => Failure::Unreachable {
            authority,
            reason: innermost(error),
        },
        Fared::Untouched | Fared::Sent => Failure::Broken {
            authority,
            reason: innermost(error),
        },
    }
}

/// The last of an error's causes, which is the one that says something (`connection refused`).
fn innermost(error: &ClientError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
