//! The one forwarder: the gateway, the providers and the watchdog differ only in how they find the upstreams and in what
//! they count around the call.
//!
//! It streams both ways with back-pressure and never holds a body, keeps `Content-Length` where there is one, sends the
//! path and query as they came, does not follow redirects, does not decompress, and knows no proxy variables. Dropping
//! the future or the response's body cancels the upstream's call.

mod body;
mod headers;
mod upstream;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::request::Parts;
use http::uri::{PathAndQuery, Scheme, Uri};
use http::{HeaderMap, Request, Response, StatusCode};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

use crate::PeerAddr;
use body::{Fared, Held, Lent, Streamed};
pub use headers::{FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO, REMAINING_MS};
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
            Self::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
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
            Self::Unreachable { .. } => "no replica can be reached".to_owned(),
            Self::Broken { .. } => "the replica broke off before it answered".to_owned(),
            other => other.to_string(),
        }
    }
}

/// Forwards calls. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Forwarder {
    client: Client<HttpConnector, Lent>,
    silence: Option<Duration>,
}

impl Forwarder {
    /// A forwarder that gives up a body, in either direction, in which nothing moves for `silence`.
    #[must_use]
    pub fn new(silence: Option<Duration>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        connector.set_tcp_user_timeout(Some(TCP_SILENCE));
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .http1_title_case_headers(true)
            .http1_max_buf_size(HEAD_LIMIT_BYTES)
            .build(connector);
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
        let limit = headers::remaining(&parts.headers, limit);
        let deadline = limit.map(|limit| Instant::now() + limit);
        let peer: Option<IpAddr> = parts.extensions.get::<PeerAddr>().map(|peer| peer.0.ip());
        headers::for_upstream(&mut parts.headers, peer);

        let body = Held::new(body, self.silence);
        let answer = self.try_each(&parts, &body, upstreams, target, deadline);
        match deadline {
            None => answer.await,
            Some(deadline) => tokio::time::timeout_at(deadline, answer)
                .await
                .unwrap_or(Err(Failure::TimedOut(limit.unwrap_or_default()))),
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
            match self
                .client
                .request(outgoing(parts, body.lend(), upstream, target, left)?)
                .await
            {
                Ok(response) => {
                    return Ok(incoming(response, |body| {
                        Streamed::new(body, self.silence, in_flight)
                    }));
                }
                Err(error) => {
                    last = failure(&error, upstream, body.fared());
                    if !matches!(last, Failure::Unreachable { .. })
                        || body.fared() != Fared::Untouched
                    {
                        return Err(last);
                    }
                    tracing::debug!(?upstream, %error, "an upstream cannot be reached; trying another");
                    upstream.eject();
                    tried.push(Arc::clone(upstream));
                }
            }
        }
        Err(last)
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
    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = parts.headers.clone();
    headers::set_remaining(request.headers_mut(), left);
    Ok(request)
}

fn incoming(
    response: Response<hyper::body::Incoming>,
    wrap: impl FnOnce(hyper::body::Incoming) -> Streamed,
) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let mut answer = Response::new(Body::new(wrap(body)));
    *answer.status_mut() = parts.status;
    let headers: &mut HeaderMap = answer.headers_mut();
    *headers = parts.headers;
    headers::for_caller(headers);
    answer
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
