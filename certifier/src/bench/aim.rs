//! Where calls go, and what they say.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use url::{Position, Url};

use super::load::Load;
use crate::failure::{Failure, Outcome};
use crate::options::Options;
use crate::{tls, wire};

pub(super) type Call = Request<Full<Bytes>>;

/// A function at a gateway, and the call of it.
pub(super) struct Aim {
    url: Url,
    tls: Arc<ClientConfig>,
    call: Call,
}

impl Aim {
    /// `function` as it stands in a path, with its namespace or without.
    pub(super) fn new(options: &Options, function: &str, load: &Load) -> Outcome<Self> {
        let base = options.entry.url().trim_end_matches('/');
        let url = format!("{base}/function/{function}{}", load.path);
        // What a URL may not hold as it is becomes what every client makes of it.
        let parsed = Url::parse(&url).map_err(|error| Failure::new("a URL", error.to_string()))?;
        let call =
            call(&parsed, load).map_err(|error| Failure::new("a call", error.to_string()))?;
        Ok(Self {
            tls: Arc::new(tls::config(base, &options.trust)?),
            url: parsed,
            call,
        })
    }

    pub(super) fn call(&self) -> Call {
        self.call.clone()
    }

    /// A connection of its own.
    pub(super) async fn connect(
        &self,
    ) -> Result<SendRequest<Full<Bytes>>, Box<dyn Error + Send + Sync>> {
        let stream = wire::connect(&self.url, self.tls.clone()).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // How it ends is told to whoever sends on it.
        tokio::spawn(connection);
        Ok(sender)
    }
}

fn call(url: &Url, load: &Load) -> Result<Call, hyper::http::Error> {
    let mut call = Request::builder()
        .method(load.method.clone())
        .uri(&url[Position::BeforePath..Position::AfterQuery])
        .header(HOST, &url[Position::BeforeHost..Position::AfterPort]);
    for (name, value) in &load.headers {
        call = call.header(name, value);
    }
    let mut call = call.body(Full::from(load.body.clone()))?;
    let headers = call.headers_mut();
    let accept = HeaderValue::from_static("*/*");
    headers.entry(ACCEPT).or_insert(accept);
    if !load.body.is_empty() {
        let kind = HeaderValue::from_static("application/octet-stream");
        headers.entry(CONTENT_TYPE).or_insert(kind);
    }
    Ok(call)
}
