//! HTTP: one request out, one whole answer in, both kept as evidence.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Method;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use rustls::ClientConfig;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use crate::failure::{Failure, Outcome};
use crate::options::{Credentials, Trust};
use crate::quote::quote;
use crate::tls;
use crate::transport::{self, Exchanged, Response, Transport, chain};
use crate::wire::{Stream, Wire, chunk};

/// The longest answer worth reading; everything the checks ask for is far shorter.
const LARGEST_BODY: usize = 16 << 20;

/// Sends requests to the platform under test, and follows no redirect.
pub(crate) struct Client {
    http: Transport,
    tls: Arc<ClientConfig>,
    base: String,
    credentials: Credentials,
    limit: Duration,
}

/// A request that can be sent any number of times, with its body each time.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    method: Method,
    path: String,
    content_type: Option<&'static str>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    authenticated: bool,
}

/// A whole answer, and the request it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) sent: String,
    pub(crate) elapsed: Duration,
}

impl Client {
    /// `trust` matters only where `base` begins with `https://`.
    pub(crate) fn new(
        base: &str,
        credentials: Credentials,
        limit: Duration,
        trust: &Trust,
    ) -> Outcome<Self> {
        let tls = tls::config(base, trust)?;
        Ok(Self {
            http: transport::new(tls.clone()),
            tls: Arc::new(tls),
            base: base.trim_end_matches('/').to_owned(),
            credentials,
            limit,
        })
    }

    /// Sends one request and reads the answer to its end.
    pub(crate) async fn send(&self, request: &Request) -> Outcome<Answer> {
        self.send_within(request, self.limit).await
    }

    /// Like [`Client::send`], with a limit of its own.
    pub(crate) async fn send_within(&self, request: &Request, limit: Duration) -> Outcome<Answer> {
        let started = Instant::now();
        let sent = request.describe(&self.base);
        let answer = timeout(limit, async {
            let response = self.exchange(request).await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Exchanged::Ok((status, headers, read(response).await?))
        });
        let got = match answer.await {
            Ok(Ok((status, headers, body))) => {
                return Ok(Answer {
                    status,
                    headers,
                    body,
                    sent,
                    elapsed: started.elapsed(),
                });
            }
            Ok(Err(error)) => chain(&*error),
            Err(_) => format!(
                "no complete answer within {} ms",
                started.elapsed().as_millis()
            ),
        };
        Err(no_answer(sent, got))
    }

    /// Sends one request and leaves the body of the answer to be read piece by piece.
    pub(crate) async fn open(&self, request: &Request) -> Outcome<Stream> {
        let sent = request.describe(&self.base);
        match timeout(self.limit, self.exchange(request)).await {
            Ok(Ok(response)) => Ok(Stream::new(response, sent)),
            Ok(Err(error)) => Err(no_answer(sent, chain(&*error))),
            Err(_) => Err(no_answer(sent, format!("none within {:?}", self.limit))),
        }
    }

    /// A connection of its own, below HTTP.
    pub(crate) async fn wire(&self) -> Outcome<Wire> {
        Wire::connect(&self.base, self.tls.clone(), self.limit).await
    }

    /// The head of a request as it goes over the wire, with host, credentials and these fields, to its empty line.
    pub(crate) fn head(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> String {
        let url = self.base.split_once("://");
        let url = url.map_or(self.base.as_str(), |(_, rest)| rest);
        let (host, base) = url.find('/').map_or((url, ""), |slash| url.split_at(slash));
        let mut head = format!("{method} {base}{path} HTTP/1.1\r\nHost: {host}\r\n");
        if let Some(value) = self.authorization(path.starts_with("/system/")) {
            head.push_str(&format!("Authorization: {value}\r\n"));
        }
        for (name, value) in fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head + "\r\n"
    }

    async fn exchange(&self, request: &Request) -> Exchanged<Response> {
        Ok(self.http.request(self.prepare(request)?).await?)
    }

    fn prepare(&self, request: &Request) -> Exchanged<hyper::Request<Full<Bytes>>> {
        // What a URL may not hold as it is becomes what every client makes of it.
        let url = Url::parse(&format!("{}{}", self.base, request.path))?;
        let mut out = hyper::Request::builder()
            .method(request.method.clone())
            .uri(url.as_str());
        for (name, value) in &request.headers {
            out = out.header(name, value);
        }
        if let Some(kind) = request.content_type.filter(|_| !request.body.is_empty()) {
            out = out.header(CONTENT_TYPE, kind);
        }
        if let Some(value) = self.authorization(request.authenticated) {
            out = out.header(AUTHORIZATION, value);
        }
        let mut out = out.body(Full::from(request.body.clone()))?;
        let accept = out.headers_mut().entry(ACCEPT);
        accept.or_insert_with(|| HeaderValue::from_static("*/*"));
        Ok(out)
    }

    /// The value of the header that says who asks; `None` where nobody does.
    fn authorization(&self, wanted: bool) -> Option<String> {
        match &self.credentials {
            Credentials::Basic { user, password } if wanted => {
                let both = BASE64_STANDARD.encode(format!("{user}:{password}"));
                Some(format!("Basic {both}"))
            }
            Credentials::Token(token) if wanted => Some(format!("Bearer {token}")),
            _ => None,
        }
    }
}

#[allow(
    dead_code,
    reason = "a vocabulary: not every word of it is in use at every time"
)]
impl Request {
    /// A request of the system API, with credentials if there are any.
    pub(crate) fn system(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            content_type: Some("application/json"),
            headers: Vec::new(),
            body: Vec::new(),
            authenticated: true,
        }
    }

    /// A call of a function: never with the platform's credentials.
    pub(crate) fn call(method: Method, path: impl Into<String>) -> Self {
        Self {
            authenticated: false,
            content_type: Some("application/octet-stream"),
            ..Self::system(method, path)
        }
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body(body.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Another content type than the usual one, or none. Only a request with a body has one.
    pub(crate) fn content_type(mut self, kind: Option<&'static str>) -> Self {
        self.content_type = kind;
        self
    }

    /// One more header; a repeated name is sent twice.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// No credentials, although this is the system API.
    pub(crate) fn without_credentials(mut self) -> Self {
        self.authenticated = false;
        self
    }

    /// The request as text.
    pub(crate) fn describe(&self, base: &str) -> String {
        let mut text = format!("{} {base}{}", self.method, self.path);
        for (name, value) in &self.headers {
            text.push_str(&format!("\n{name}: {}", quote(value.as_bytes())));
        }
        if !self.body.is_empty() {
            text.push('\n');
            text.push_str(&quote(&self.body));
        }
        text
    }
}

impl Answer {
    /// The answer, if its status is one of `wanted`.
    pub(crate) fn with_status(self, wanted: &[u16]) -> Outcome<Self> {
        if wanted.contains(&self.status) {
            return Ok(self);
        }
        let wanted: Vec<_> = wanted.iter().map(u16::to_string).collect();
        let got = format!("status {}", self.status);
        Err(self.fault(format!("status {}", wanted.join(" or ")), got))
    }

    /// The request is refused with one of these statuses and a reason: a line of plain text.
    #[allow(
        dead_code,
        reason = "a vocabulary: not every word of it is in use at every time"
    )]
    pub(crate) fn refused(self, wanted: &[u16]) -> Outcome {
        let answer = self.with_status(wanted)?;
        let text = answer.text();
        let expected = "the reason as one line of text";
        if text.trim().is_empty() {
            return Err(answer.fault(expected, "an empty body"));
        }
        let kind = answer.header("content-type");
        if text.trim_start().starts_with('<') || kind.starts_with("text/html") {
            return Err(answer.fault(expected, "a page"));
        }
        match text.trim_end().lines().count() {
            1 => Ok(()),
            lines => Err(answer.fault(expected, format!("{lines} lines"))),
        }
    }

    /// The answer, if its status is any success.
    pub(crate) fn with_success(self) -> Outcome<Self> {
        match self.status {
            200..300 => Ok(self),
            status => Err(self.fault("a status of success", format!("status {status}"))),
        }
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Outcome<Value> {
        serde_json::from_slice(&self.body).map_err(|error| {
            self.fault("a JSON body", format!("a body that is not JSON ({error})"))
        })
    }

    /// The body as a JSON array.
    pub(crate) fn array(&self) -> Outcome<Vec<Value>> {
        match self.json()? {
            Value::Array(items) => Ok(items),
            other => Err(self.fault("a JSON array", format!("{other:.60}"))),
        }
    }

    /// The body as text; bytes that are not UTF-8 are replaced.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value, empty when it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// A failure with this exchange as its evidence.
    pub(crate) fn fault(&self, expected: impl Into<String>, got: impl Into<String>) -> Failure {
        Failure {
            sent: self.sent.clone(),
            received: self.describe(),
            ..Failure::new(expected, got)
        }
    }

    /// The whole answer as text.
    pub(crate) fn describe(&self) -> String {
        let mut text = format!(
            "status {} after {} ms",
            self.status,
            self.elapsed.as_millis()
        );
        for (name, value) in &self.headers {
            text.push_str(&format!("\n{name}: {}", quote(value.as_bytes())));
        }
        if !self.body.is_empty() {
            text.push('\n');
            text.push_str(&quote(&self.body));
        }
        text
    }
}

/// Reads a body to its end, or to the point where it is absurdly long.
async fn read(response: Response) -> hyper::Result<Vec<u8>> {
    let mut rest = response.into_body();
    let mut body = Vec::new();
    while let Some(piece) = chunk(&mut rest).await? {
        body.extend_from_slice(&piece);
        if body.len() > LARGEST_BODY {
            break;
        }
    }
    Ok(body)
}

fn no_answer(sent: String, got: String) -> Failure {
    Failure {
        sent,
        ..Failure::new("an answer", got)
    }
}
