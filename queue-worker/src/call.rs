//! Making a call through the gateway, and what comes of it.

use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use faas_http::forward::{FORWARDED_HOST, strip_hop_by_hop};
use faas_http::{duration, env};
use faas_queue::policy::TIMEOUT_ANNOTATION;
use faas_queue::{Answer, FormatError, Header, Outcome, QueuedCall};
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;
use url::Url;

use crate::Config;
use crate::retry_after;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than the gateway keeps its side.
const POOL_IDLE: Duration = Duration::from_secs(20);
/// The gateway, whose error names the limit, gets so much longer than that.
const GRACE: Duration = Duration::from_secs(5);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

const INTERNAL: HeaderName = HeaderName::from_static("x-openfaas-internal");
const CALL_ID: HeaderName = HeaderName::from_static("x-call-id");
pub(crate) const INVOCATION_ID: HeaderName = HeaderName::from_static("x-invocation-id");
pub(crate) const RETRY: HeaderName = HeaderName::from_static("x-retry");
pub(crate) const RETRY_MAX: HeaderName = HeaderName::from_static("x-retry-max");

/// The gateway as the worker uses it.
pub(crate) struct Gateway {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    limit: Option<Duration>,
    waking: Duration,
    most_kept: usize,
}

/// How an attempt ended, and the answer where one came.
pub(crate) type Made = (Outcome, Option<Answer>);

impl Gateway {
    pub(crate) fn new(config: &Config) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_timer(TokioTimer::new())
            .build(tcp);
        Self {
            client,
            base: base(&config.gateway_url),
            limit: env::limit(config.upstream_timeout),
            waking: config.scale_from_zero_timeout,
            most_kept: config.max_response_bytes,
        }
    }

    /// Whether it, and the provider behind it, are there.
    pub(crate) async fn is_well(&self) -> bool {
        let request = Request::get(format!("{}/healthz", self.base)).body(Full::default());
        let Ok(request) = request else {
            return false;
        };
        let answer = timeout(HEALTH_TIMEOUT, self.client.request(request)).await;
        matches!(answer, Ok(Ok(answer)) if answer.status().is_success())
    }

    /// Makes a call. Dropping the future cancels it, down to the function's process.
    ///
    /// # Errors
    /// When what is stored makes no request.
    pub(crate) async fn make(
        &self,
        call: &QueuedCall,
        retries: (u32, u32),
    ) -> Result<Made, FormatError> {
        let request = self.request(call, retries)?;
        let limit = self.limit_of(call);
        let sent = match limit {
            Some(limit) => match timeout(limit, self.client.request(request)).await {
                Ok(sent) => sent,
                Err(_) => return Ok((Outcome::TimedOut, None)),
            },
            None => self.client.request(request).await,
        };
        let response = match sent {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Ok((Outcome::Unreachable, None)),
            Err(error) => {
                tracing::debug!(call = %call.id, ?error, "a call got no answer");
                return Ok((Outcome::Broken, None));
            }
        };
        let wanted = call.keep_result || call.callback_url.is_some();
        let most = if wanted { self.most_kept } else { 0 };
        Ok(read(response, most, limit).await)
    }

    fn request(
        &self,
        call: &QueuedCall,
        (made, most): (u32, u32),
    ) -> Result<Request<Full<Bytes>>, FormatError> {
        let garbage = |error: http::Error| FormatError::Garbage(error.to_string());
        let method = Method::from_bytes(call.method.as_bytes());
        let method = method.map_err(|error| garbage(error.into()))?;
        let mut target = format!("{}/function/{}{}", self.base, call.function, call.path);
        if let Some(query) = &call.query {
            target.push('?');
            target.push_str(query);
        }
        let target = Uri::try_from(target).map_err(|error| garbage(error.into()))?;
        let mut request = Request::builder().method(method).uri(target);
        if let Some(headers) = request.headers_mut() {
            *headers = to_map(&call.headers);
            for name in [CONTENT_LENGTH, http::header::HOST] {
                headers.remove(name);
            }
            if let (false, Ok(host)) = (
                headers.contains_key(FORWARDED_HOST),
                HeaderValue::try_from(&call.host),
            ) && !host.is_empty()
            {
                headers.insert(FORWARDED_HOST, host);
            }
            if let Ok(id) = HeaderValue::try_from(&call.call_id) {
                headers.insert(CALL_ID, id);
            }
            if let Ok(id) = HeaderValue::try_from(call.id.to_string()) {
                headers.insert(INVOCATION_ID, id);
            }
            headers.insert(RETRY, made.into());
            headers.insert(RETRY_MAX, most.into());
        }
        request.body(Full::new(call.body.clone())).map_err(garbage)
    }

    /// The function's own limit or ours, with the time to wake it.
    fn limit_of(&self, call: &QueuedCall) -> Option<Duration> {
        let own = call.annotations.get(TIMEOUT_ANNOTATION);
        let limit = match own.and_then(|text| duration::parse(text).ok()) {
            Some(own) => env::limit(own),
            None => self.limit,
        };
        limit.map(|limit| limit.saturating_add(self.waking).saturating_add(GRACE))
    }
}

/// A URL to which paths are appended.
fn base(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.as_str().trim_end_matches('/').to_owned()
}

/// Stored headers as a map; what is no header is left out.
pub(crate) fn to_map(stored: &[Header]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in stored {
        if let (Ok(name), Ok(value)) = (
            HeaderName::try_from(name.as_str()),
            HeaderValue::from_bytes(value),
        ) {
            headers.append(name, value);
        }
    }
    headers
}

/// Reads an answer to its end. Of the body so many bytes are kept; none of it may be silent for longer than `silence`.
async fn read(response: Response<Incoming>, most: usize, silence: Option<Duration>) -> Made {
    let (mut parts, mut body) = response.into_parts();
    let outcome = Outcome::Answered {
        status: parts.status.as_u16(),
        internal: parts.headers.contains_key(INTERNAL),
        retry_after: retry_after::of(&parts.headers, SystemTime::now()),
    };
    let (mut kept, mut truncated) = (BytesMut::new(), false);
    loop {
        let frame = match silence {
            Some(silence) => match timeout(silence, body.frame()).await {
                Ok(frame) => frame,
                Err(_) => return (Outcome::TimedOut, None),
            },
            None => body.frame().await,
        };
        match frame {
            None => break,
            Some(Err(_)) => return (Outcome::Broken, None),
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    let room = most - kept.len();
                    truncated |= data.len() > room;
                    kept.extend_from_slice(&data[..data.len().min(room)]);
                }
            }
        }
    }
    strip_hop_by_hop(&mut parts.headers);
    parts.headers.remove(CONTENT_LENGTH);
    let pair = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), value.as_bytes().to_vec())
    };
    let answer = Answer {
        status: parts.status.as_u16(),
        headers: parts.headers.iter().map(pair).collect(),
        body: kept.freeze(),
        truncated,
    };
    (outcome, Some(answer))
}
