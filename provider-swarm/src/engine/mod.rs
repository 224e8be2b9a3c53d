//! The engine's API: one connection a call, so that a caller who hangs up cancels the engine's work too.
//!
//! Requests carry the negotiated version; answers are JSON, and what is written back is what was read, unknown fields
//! included. A client library is not used: the one at hand drops fields of services on the way through (a service's
//! health check, the addresses of tasks) and sends no version.

mod error;
mod host;
mod metrics;
mod types;
mod version;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;

pub(crate) use error::Error;
pub use host::DockerHost;
pub(crate) use metrics::EngineMetrics;
pub(crate) use types::{Config, NO_IMAGE, Network, Secret, Service, Task, rfc3339};
pub use version::ApiVersion;
use version::Offer;

/// Largest answer that is read as a whole.
const ANSWER_LIMIT_BYTES: usize = 64 * 1024 * 1024;
/// The credentials of a registry, for the nodes that pull from it.
const REGISTRY_AUTH: HeaderName = HeaderName::from_static("x-registry-auth");

/// Parameters of a request.
pub(crate) type Query<'a> = &'a [(&'a str, &'a str)];

/// A filter that lists are asked for with: one key and its values.
pub(crate) fn filter(pairs: &[(&str, &[&str])]) -> String {
    let map: std::collections::BTreeMap<_, _> = pairs.iter().copied().collect();
    serde_json::to_string(&map).unwrap_or_default()
}

/// The engine, as far as it is known.
pub(crate) struct Engine {
    host: DockerHost,
    timeout: Option<Duration>,
    wanted: Option<ApiVersion>,
    /// Asked for anew whenever the engine was out of reach: it may be another one since.
    agreed: Mutex<Option<ApiVersion>>,
    metrics: EngineMetrics,
}

impl Engine {
    /// An engine that is not asked anything yet. Without `timeout`, answers may take as long as they like.
    pub(crate) fn new(
        host: DockerHost,
        wanted: Option<ApiVersion>,
        timeout: Option<Duration>,
        metrics: EngineMetrics,
    ) -> Self {
        Self {
            host,
            timeout,
            wanted,
            agreed: Mutex::default(),
            metrics,
        }
    }

    /// Reads something.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: Query<'_>,
    ) -> Result<T, Error> {
        let call = self.call(Method::GET, path, query, None, None);
        Ok(serde_json::from_slice(&call.await?)?)
    }

    /// Whether a registry has an image and gives it to whoever has these credentials.
    pub(crate) async fn ask_registry(
        &self,
        image: &str,
        auth: Option<&HeaderValue>,
    ) -> Result<(), Error> {
        let path = format!("/distribution/{image}/json");
        let call = self.call(Method::GET, &path, &[], None, auth);
        call.await.map(drop)
    }

    /// Sends something; `auth` is what [`crate::registry`] makes.
    pub(crate) async fn post(
        &self,
        path: &str,
        query: Query<'_>,
        body: &Value,
        auth: Option<&HeaderValue>,
    ) -> Result<Value, Error> {
        let call = self.call(Method::POST, path, query, Some(body), auth);
        let answer = call.await?;
        match answer.is_empty() {
            true => Ok(Value::Null),
            false => Ok(serde_json::from_slice(&answer)?),
        }
    }

    /// Removes something.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Error> {
        let call = self.call(Method::DELETE, path, &[], None, None);
        call.await.map(drop)
    }

    /// Something without end: only its beginning has a deadline.
    pub(crate) async fn stream(&self, path: &str, query: Query<'_>) -> Result<Streamed, Error> {
        let opened = self.within(async {
            let version = self.version().await?;
            let request = self.request(Method::GET, &format!("/v{version}{path}"), query, None)?;
            let (response, connection) = self.send(request).await?;
            let streamed = succeeded(response).await?;
            Ok(Streamed {
                body: streamed.into_body(),
                _connection: connection,
            })
        });
        self.counted(path, opened).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        query: Query<'_>,
        body: Option<&Value>,
        auth: Option<&HeaderValue>,
    ) -> Result<Bytes, Error> {
        let answered = self.within(async {
            let version = self.version().await?;
            let mut request = self.request(method, &format!("/v{version}{path}"), query, body)?;
            if let Some(auth) = auth {
                request.headers_mut().insert(REGISTRY_AUTH, auth.clone());
            }
            let (response, _connection) = self.send(request).await?;
            whole(succeeded(response).await?).await
        });
        self.counted(path, answered).await
    }

    async fn within<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let Some(limit) = self.timeout else {
            return call.await;
        };
        tokio::time::timeout(limit, call)
            .await
            .unwrap_or(Err(Error::TimedOut(limit)))
    }

    async fn counted<T>(
        &self,
        path: &str,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let result = call.await;
        self.metrics.count(path, result.as_ref().err());
        if matches!(result, Err(Error::Unreachable { .. } | Error::Broken(_))) {
            *self.agreed.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        result
    }

    /// The version agreed on; asks the engine where nothing is agreed yet.
    async fn version(&self) -> Result<ApiVersion, Error> {
        let known = *self.agreed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(version) = known {
            return Ok(version);
        }
        let request = self.request(Method::GET, "/version", &[], None)?;
        let (response, _connection) = self.send(request).await?;
        let answer = whole(succeeded(response).await?).await?;
        let offer: Offer = serde_json::from_slice(&answer)?;
        let version = offer.choose(self.wanted).map_err(Error::Version)?;
        let mut agreed = self.agreed.lock().unwrap_or_else(PoisonError::into_inner);
        if agreed.replace(version).is_none() {
            tracing::info!(host = %self.host, ?offer, %version, "the engine answers");
        }
        Ok(version)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        query: Query<'_>,
        body: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>, Error> {
        let mut target = path.to_owned();
        if !query.is_empty() {
            let mut encoded = url::form_urlencoded::Serializer::new(String::new());
            target = format!("{path}?{}", encoded.extend_pairs(query).finish());
        }
        let body = match body {
            Some(value) => serde_json::to_vec(value)?.into(),
            None => Bytes::new(),
        };
        Request::builder()
            .method(method)
            .uri(target)
            .header(HOST, self.host.authority())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| Error::Broken(error.to_string()))
    }

    async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Connection), Error> {
        let io = self
            .host
            .connect()
            .await
            .map_err(|error| Error::Unreachable {
                host: self.host.to_string(),
                reason: error.to_string(),
            })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(broken)?;
        let connection = AbortOnDropHandle::new(tokio::spawn(async move {
            let _ = connection.await;
        }));
        let response = sender.send_request(request).await.map_err(broken)?;
        Ok((response, connection))
    }
}

/// Dropping it ends the connection, and with it the engine's work on the call.
type Connection = AbortOnDropHandle<()>;

/// An answer that is read as it comes.
pub(crate) struct Streamed {
    body: Incoming,
    _connection: Connection,
}

impl Streamed {
    /// The next piece; `None` at the end, also where it broke.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.body.frame().await?.map(http_body::Frame::into_data) {
                Ok(Ok(data)) => return Some(data),
                Ok(Err(_trailers)) => {}
                Err(error) => {
                    tracing::debug!(%error, "a stream of the engine broke");
                    return None;
                }
            }
        }
    }
}

async fn succeeded(response: Response<Incoming>) -> Result<Response<Incoming>, Error> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    Err(Error::answered(status.as_u16(), &whole(response).await?))
}

async fn whole(response: Response<Incoming>) -> Result<Bytes, Error> {
    let body = Limited::new(response.into_body(), ANSWER_LIMIT_BYTES);
    let collected = body.collect().await;
    Ok(collected
        .map_err(|error| Error::Broken(error.to_string()))?
        .to_bytes())
}

fn broken(error: hyper::Error) -> Error {
    Error::Broken(error.to_string())
}
