//! Posting a callback: one request, to where the caller said, and what the target says.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use faas_http::auth::Pair;
use faas_queue::{Callback, target};
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use tower::Service;
use url::{Host, Url};

use crate::Config;
use crate::call::{INVOCATION_ID, RETRY, RETRY_MAX, to_map};
use crate::permitted::Permitted;
use crate::retry_after;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const POOL_IDLE: Duration = Duration::from_secs(20);
/// So much of a target's answer is read, for the connection's sake; nobody wants it.
const READ_BYTES: usize = 64 * 1024;
const NOT_PERMITTED: &str = "no address that may be posted to";
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("queue-worker/", env!("CARGO_PKG_VERSION")));

const DURATION: HeaderName = HeaderName::from_static("x-duration-seconds");
const STATUS: HeaderName = HeaderName::from_static("x-function-status");
const FUNCTION: HeaderName = HeaderName::from_static("x-function-name");
const CALL_ID: HeaderName = HeaderName::from_static("x-call-id");
const TRUNCATED: HeaderName = HeaderName::from_static("x-function-response-truncated");

/// Posts callbacks.
pub(crate) struct Post {
    client: Client<HttpsConnector<HttpConnector<Guarded>>, Full<Bytes>>,
    limit: Duration,
    permitted: Permitted,
}

/// What a target said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Posted {
    /// A status, and how long it asks to wait.
    Answered(u16, Option<Duration>),
    /// Nothing, in words.
    Failed(String),
}

impl Post {
    pub(crate) fn new(config: &Config) -> Result<Self, rustls::Error> {
        let permitted = Permitted::of(config);
        let resolver = Guarded(GaiResolver::new(), permitted.clone());
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self {
            client,
            limit: config.callback_timeout,
            permitted,
        })
    }

    /// Posts once; redirects are not followed.
    pub(crate) async fn post(&self, callback: &Callback) -> Posted {
        let request = match request(callback, &self.permitted) {
            Ok(request) => request,
            Err(error) => return Posted::Failed(error),
        };
        let sent = async {
            let response = self.client.request(request).await?;
            let (parts, body) = response.into_parts();
            // Read for the connection's sake; what is wrong with it is the target's affair.
            let _ = Limited::new(body, READ_BYTES).collect().await;
            Ok::<_, hyper_util::client::legacy::Error>(parts)
        };
        match tokio::time::timeout(self.limit, sent).await {
            Ok(Ok(parts)) => Posted::Answered(
                parts.status.as_u16(),
                retry_after::of(&parts.headers, SystemTime::now()),
            ),
            Ok(Err(error)) => Posted::Failed(causes(&error)),
            Err(_) => Posted::Failed(format!("no answer within {:?}", self.limit)),
        }
    }
}

fn tls() -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// The innermost words; the outer ones only say that sending failed.
fn causes(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Where a callback goes, without what a log must not show.
pub(crate) fn host(callback: &Callback) -> String {
    let url = Url::parse(&callback.url).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    let port = url.as_ref().and_then(Url::port_or_known_default);
    format!("{host}:{}", port.unwrap_or_default())
}

fn request(callback: &Callback, permitted: &Permitted) -> Result<Request<Full<Bytes>>, String> {
    let mut url = target::parse(&callback.url).map_err(|error| error.to_string())?;
    // A literal address is never looked up.
    if literal(&url).is_some_and(|address| !permitted.has(address)) {
        return Err(NOT_PERMITTED.to_owned());
    }
    let mut headers = headers(callback);
    if !url.username().is_empty() || url.password().is_some() {
        let decoded = |text| percent_decoded(text);
        let user = decoded(url.username());
        let password = decoded(url.password().unwrap_or_default());
        headers.insert(AUTHORIZATION, Pair::new(user, password).header());
        // Only URLs without a host refuse this, and this one has one.
        let _ = url.set_username("").and_then(|()| url.set_password(None));
    }
    url.set_fragment(None);
    let target = Uri::try_from(url.as_str()).map_err(|error| error.to_string())?;
    let mut request = Request::post(target);
    if let Some(place) = request.headers_mut() {
        *place = headers;
    }
    request
        .body(Full::new(callback.answer.body.clone()))
        .map_err(|error| error.to_string())
}

fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

/// The answer's own headers, and what the original tells beside them.
fn headers(callback: &Callback) -> HeaderMap {
    let answer = &callback.answer;
    let mut headers = to_map(&answer.headers);
    let seconds = Duration::from_micros(callback.took_micros).as_secs_f64();
    let told = [
        (DURATION, format!("{seconds:.6}")),
        (STATUS, answer.status.to_string()),
        (FUNCTION, callback.function.clone()),
        (INVOCATION_ID, callback.id.to_string()),
        (CALL_ID, callback.call_id.clone()),
    ];
    for (name, value) in told {
        if let Ok(value) = HeaderValue::try_from(value)
            && !value.is_empty()
        {
            headers.insert(name, value);
        }
    }
    headers.insert(USER_AGENT, AGENT);
    if let Some((made, most)) = callback.retries {
        headers.insert(RETRY, made.into());
        headers.insert(RETRY_MAX, most.into());
    }
    if answer.truncated {
        headers.insert(TRUNCATED, HeaderValue::from_static("true"));
    }
    headers
}

/// Looks names up, and keeps addresses to itself that nothing may be posted to.
#[derive(Clone)]
struct Guarded(GaiResolver, Permitted);

impl Service<Name> for Guarded {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let found = self.0.call(name);
        let permitted = self.1.clone();
        Box::pin(async move {
            let allowed: Vec<SocketAddr> = found
                .await?
                .filter(|address| permitted.has(address.ip()))
                .collect();
            match allowed.is_empty() {
                true => Err(std::io::Error::other(NOT_PERMITTED)),
                false => Ok(allowed.into_iter()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faas_queue::{Answer, InvocationId};

    fn callback(url: &str) -> Callback {
        Callback {
            id: InvocationId::new(),
            call_id: "c-1".into(),
            function: "f.dev".into(),
            url: url.into(),
            took_micros: 1_500_000,
            retries: Some((3, 3)),
            answer: Answer {
                status: 500,
                headers: vec![("content-type".into(), b"text/x".to_vec())],
                body: Bytes::from_static(b"body"),
                truncated: true,
            },
        }
    }

    #[test]
    fn a_callback_tells_what_the_original_tells() {
        let callback = callback("http://u:p%40@sink:9/x?y#z");
        let request = request(&callback, &Permitted::default()).unwrap();
        assert_eq!(request.uri(), "http://sink:9/x?y");
        for (name, value) in [
            ("content-type", "text/x"),
            ("x-duration-seconds", "1.500000"),
            ("x-function-status", "500"),
            ("x-function-name", "f.dev"),
            ("x-call-id", "c-1"),
            ("x-retry", "3"),
            ("x-retry-max", "3"),
            ("x-function-response-truncated", "true"),
            ("authorization", "Basic dTpwQA=="),
        ] {
            assert_eq!(request.headers()[name], value, "{name}");
        }
        assert_eq!(host(&callback), "sink:9");
        assert_eq!(
            request.headers()["x-invocation-id"],
            callback.id.to_string()
        );
    }

    #[test]
    fn a_url_that_was_stored_before_it_was_forbidden_is_refused() {
        let callback = callback("http://169.254.169.254/");
        assert!(request(&callback, &Permitted::default()).is_err());
    }

    #[tokio::test]
    async fn a_name_of_a_metadata_address_is_not_posted_to() {
        let mut guarded = Guarded(GaiResolver::new(), Permitted::default());
        let mut look = async |name: &str| guarded.call(name.parse().unwrap()).await;
        assert!(look("localhost").await.unwrap().count() > 0);
        let refused = look("169.254.169.254").await.err().unwrap();
        assert_eq!(refused.to_string(), "no address that may be posted to");
    }
}
