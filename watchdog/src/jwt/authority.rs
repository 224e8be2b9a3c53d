//! Asking the authority who it is and which keys it has: plain HTTP, straight to where the URL says, through no proxy.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::keys::{self, KeysByName};

/// Where an authority says who it is (OpenID Connect Discovery 1.0, section 4).
const DISCOVERY: &str = "/.well-known/openid-configuration";
/// How long one question may take, from the look-up of the name to the last byte of the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pauses between attempts at the start; then the watchdog ends, for whoever started it to try again.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
];
/// Longest answer.
const LONGEST_BYTES: usize = 1024 * 1024;

/// What an authority says of itself.
pub(super) struct Authority {
    /// Who signs, and whom tokens for functions are addressed to.
    pub(super) issuer: String,
    /// Where its keys are.
    pub(super) jwks: Uri,
    pub(super) keys: KeysByName,
}

#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    jwks_uri: String,
}

/// Asks an authority, and asks again if it does not answer well. In words, what was wrong the last time.
pub(super) async fn ask(base: &Uri) -> Result<Authority, String> {
    let mut pauses = PAUSES.iter();
    loop {
        let error = match ask_once(base).await {
            Ok(authority) => return Ok(authority),
            Err(error) => error,
        };
        let Some(pause) = pauses.next() else {
            return Err(error);
        };
        log!("Warning: jwt_auth: {error}; asking again");
        sleep(*pause).await;
    }
}

async fn ask_once(base: &Uri) -> Result<Authority, String> {
    let url = format!("{}{DISCOVERY}", base.to_string().trim_end_matches('/'));
    let said = |what: String| format!("{url}: {what}");
    let text = get(&url.parse().map_err(|_| said("is no URL".to_owned()))?).await?;
    let Discovered { issuer, jwks_uri } =
        serde_json::from_slice(&text).map_err(|error| said(error.to_string()))?;
    if issuer.is_empty() {
        return Err(said("the issuer is empty".to_owned()));
    }
    let jwks: Uri = jwks_uri
        .parse()
        .map_err(|_| said(format!("jwks_uri \"{jwks_uri}\" is no URL")))?;
    let keys = keys(&jwks).await?;
    if keys.is_empty() {
        return Err(format!("{jwks}: there is no key to verify tokens with"));
    }
    Ok(Authority { issuer, jwks, keys })
}

/// The keys that are published there.
pub(super) async fn keys(jwks: &Uri) -> Result<KeysByName, String> {
    let text = get(jwks).await?;
    keys::parse(&text).map_err(|error| format!("{jwks}: {error}"))
}

async fn get(url: &Uri) -> Result<Bytes, String> {
    let got = timeout(PATIENCE, exchange(url)).await;
    let got = got.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")));
    got.map_err(|error| format!("{url}: {error}"))
}

async fn exchange(url: &Uri) -> Result<Bytes, String> {
    // TLS is not built in: it would double the size of every function image for one question to a neighbour.
    if url.scheme() != Some(&Scheme::HTTP) {
        return Err("only http:// can be asked".to_owned());
    }
    let host = url.host().ok_or("there is no host")?;
    let to = (host.trim_matches(['[', ']']), url.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(to)
        .await
        .map_err(|error| error.to_string())?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(LONGEST_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let mut answered = std::pin::pin!(async move {
        let answer = sender.send_request(question(url)?).await;
        let answer = answer.map_err(|error| error.to_string())?;
        if answer.status() != StatusCode::OK {
            return Err(format!("the answer is {}", answer.status().as_u16()));
        }
        let body = Limited::new(answer.into_body(), LONGEST_BYTES);
        let whole = body.collect().await.map_err(|error| error.to_string())?;
        Ok(whole.to_bytes())
    });
    // The connection may end before its last bytes have been taken in.
    tokio::select! {
        answer = &mut answered => return answer,
        _ = connection => {}
    }
    answered.await
}

fn question(url: &Uri) -> Result<Request<Empty<Bytes>>, String> {
    let target = url.path_and_query().map_or("/", |target| target.as_str());
    let host = url.authority().map_or("", |host| host.as_str());
    Request::get(target)
        .header(HOST, host.rsplit('@').next().unwrap_or_default())
        // Compat: gateways tell their watchdogs by it.
        .header(USER_AGENT, HeaderValue::from_static("openfaas-watchdog"))
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .body(Empty::new())
        .map_err(|error| error.to_string())
}
