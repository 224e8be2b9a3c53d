//! The provider behind the gateway, as `/system` requests are passed on to it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use faas_http::auth::Credentials;
use faas_http::forward::{Forwarder, Upstream};
use http::header::{ACCEPT_ENCODING, AUTHORIZATION};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use url::Url;

use crate::body;
use crate::error::{Error, StartError};

/// Largest answer of the provider that is held in memory: a list of functions.
const ANSWER_LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// Passes requests on to the provider, with our credentials in place of the caller's.
#[derive(Clone)]
pub(crate) struct ProviderLink {
    forwarder: Forwarder,
    upstream: [Arc<Upstream>; 1],
    credentials: Option<Credentials>,
    limits: Limits,
}

/// How long a request that is passed on may take. `None` is no limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For the request's body to arrive.
    pub(crate) body: Option<Duration>,
    /// For the answer to begin.
    pub(crate) answer: Option<Duration>,
    /// For the answer to be silent.
    pub(crate) silence: Option<Duration>,
}

impl ProviderLink {
    pub(crate) fn new(
        provider: &Url,
        credentials: Option<Credentials>,
        limits: Limits,
    ) -> Result<Self, StartError> {
        let host = provider.host_str().unwrap_or_default();
        let port = provider.port_or_known_default().unwrap_or(80);
        let authority = format!("{host}:{port}").parse().map_err(|error| {
            StartError::Setting(format!("functions_provider_url: {provider}: {error}"))
        })?;
        let upstream =
            Upstream::below("provider", authority, provider.path().trim_end_matches('/'));
        Ok(Self {
            forwarder: Forwarder::new(limits.silence),
            upstream: [upstream],
            credentials,
            limits,
        })
    }

    /// Passes a request on as it is, once it is whole, and its answer back as it comes. HEAD is asked as GET, which is the
    /// one that providers know.
    pub(crate) async fn pass(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        let (mut parts, body) = request.into_parts();
        let body = body::read(body, self.limits.body).await?;
        if parts.method == Method::HEAD {
            parts.method = Method::GET;
        }
        if let Some(credentials) = &self.credentials {
            let ours = credentials.pair().header();
            parts.headers.insert(AUTHORIZATION, ours);
        }
        let target = parts.uri.path_and_query();
        let target = target.map_or("/", |target| target.as_str()).to_owned();
        let request = Request::from_parts(parts, Body::from(body));
        self.forwarder
            .forward(request, &self.upstream, &target, self.limits.answer)
            .await
            .map_err(|failure| {
                tracing::warn!(%failure, "the provider gave no answer");
                Error::Provider(failure)
            })
    }

    /// As [`ProviderLink::pass`], with the answer's body read to its end.
    pub(crate) async fn pass_and_read(
        &self,
        mut request: Request<Body>,
    ) -> Result<Response<Bytes>, Error> {
        // What the caller can unpack, we cannot.
        request.headers_mut().remove(ACCEPT_ENCODING);
        let (parts, body) = self.pass(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_LIMIT_BYTES).collect().await;
        let body = body.map_err(|error| Error::ProviderGarbage(error.to_string()))?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}
