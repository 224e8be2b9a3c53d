//! The provider behind the gateway, as `/system` requests are passed on to it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use faas_http::auth::Credentials;
use faas_http::forward::{Failure, Forwarder, Upstream};
use faas_provider::BODY_LIMIT_BYTES;
use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use http::{Request, Response};
use http_body_util::{BodyExt, Limited};
use url::Url;

use crate::error::{Error, StartError};

/// Largest answer of the provider that is held in memory: a list of functions.
const ANSWER_LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// Passes requests on to the provider, with our credentials in place of the caller's.
#[derive(Clone)]
pub(crate) struct ProviderLink {
    forwarder: Forwarder,
    upstream: [Arc<Upstream>; 1],
    credentials: Option<Credentials>,
    limit: Option<Duration>,
}

impl ProviderLink {
    pub(crate) fn new(
        provider: &Url,
        credentials: Option<Credentials>,
        limit: Option<Duration>,
        silence: Option<Duration>,
    ) -> Result<Self, StartError> {
        let host = provider.host_str().unwrap_or_default();
        let port = provider.port_or_known_default().unwrap_or(80);
        let authority = format!("{host}:{port}").parse().map_err(|error| {
            StartError::Setting(format!("functions_provider_url: {provider}: {error}"))
        })?;
        let upstream =
            Upstream::below("provider", authority, provider.path().trim_end_matches('/'));
        Ok(Self {
            forwarder: Forwarder::new(silence),
            upstream: [upstream],
            credentials,
            limit,
        })
    }

    /// Passes a request on as it is, and its answer back as it comes.
    pub(crate) async fn pass(&self, mut request: Request<Body>) -> Result<Response<Body>, Error> {
        let announced = request
            .headers()
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: u64| length > BODY_LIMIT_BYTES as u64) {
            return Err(Error::TooLarge(BODY_LIMIT_BYTES));
        }
        if let Some(credentials) = &self.credentials {
            request
                .headers_mut()
                .insert(AUTHORIZATION, credentials.pair().header());
        }
        let target = request
            .uri()
            .path_and_query()
            .map_or("/", |target| target.as_str())
            .to_owned();
        self.forwarder
            .forward(request, &self.upstream, &target, self.limit)
            .await
            .map_err(|failure| {
                if !matches!(failure, Failure::CallerGone) {
                    tracing::warn!(%failure, "the provider gave no answer");
                }
                Error::Provider(failure)
            })
    }

    /// As [`ProviderLink::pass`], with the answer's body read to its end.
    pub(crate) async fn pass_and_read(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Bytes>, Error> {
        let (parts, body) = self.pass(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_LIMIT_BYTES).collect().await;
        let body = body.map_err(|error| Error::ProviderGarbage(error.to_string()))?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}
