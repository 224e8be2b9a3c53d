//! How requests reach the platform: HTTP/1.1, in the clear or in TLS, without proxies.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;

/// A kept connection that the other side drops meanwhile would look like its fault.
const KEPT: Duration = Duration::from_secs(1);

pub(crate) type Transport = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// What one exchange gives.
pub(crate) type Exchanged<T> = Result<T, Box<dyn Error + Send + Sync>>;

pub(crate) type Response = hyper::Response<Incoming>;

pub(crate) fn new(tls: ClientConfig) -> Transport {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(KEPT)
        .pool_timer(TokioTimer::new())
        .build(connector)
}

/// An error with its causes; the outermost only says that sending failed.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
