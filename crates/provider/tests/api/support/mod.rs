//! A provider that is served, and requests to it.

mod provider;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use faas_http::Server;
use faas_http::auth::{Credentials, Pair};
use faas_provider::{Client, Options, router};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(crate) use provider::{LogQuery, MemoryProvider};

pub(crate) const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Fails a test that waits for something that never comes.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(20), future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts a status whose answer has no body.
    #[track_caller]
    pub(crate) fn is(&self, status: u16) {
        assert_eq!(
            (self.status.as_u16(), self.body.as_str()),
            (status, ""),
            "{self:?}"
        );
    }

    /// Asserts an error: its status, how its one line begins, and that it says who said it.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16, line: &str) {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert!(
            self.body.starts_with(line),
            "{:?} does not start with {line:?}",
            self.body
        );
        assert!(
            self.body.ends_with('\n') && self.body.lines().count() == 1,
            "{:?}",
            self.body
        );
        assert_eq!(self.header("content-type"), "text/plain; charset=utf-8");
        assert!(
            ["provider", "proxy"].contains(&self.header("x-openfaas-internal")),
            "{self:?}"
        );
    }
}

/// A served provider.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    pub(crate) provider: Arc<MemoryProvider>,
    pub(crate) stop: CancellationToken,
    pub(crate) log_queries: mpsc::UnboundedReceiver<LogQuery>,
    http: reqwest::Client,
}

impl Api {
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// One that asks for `admin` and `secret`.
    pub(crate) async fn guarded() -> Self {
        let credentials = Some(Credentials::fixed(Pair::new("admin", "secret")));
        Self::with(Options {
            credentials,
            ..Options::default()
        })
        .await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let (provider, log_queries) = MemoryProvider::new();
        let provider = Arc::new(provider);
        let stop = options.stop.clone();
        let address = serve(router(Arc::clone(&provider), options).unwrap()).await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            address,
            provider,
            stop,
            log_queries,
            http,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.url("/").parse().unwrap(), None).unwrap()
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.http.request(method, self.url(path))
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        answer(self.request(method, path).body(body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.request("GET", path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str, body: Value) -> Answer {
        self.send("DELETE", path, body.to_string()).await
    }

    /// Deploys a function of no importance.
    pub(crate) async fn deploy(&self, name: &str) {
        self.post("/system/functions", json!({"service": name, "image": "i"}))
            .await
            .is(202);
    }

    pub(crate) async fn log_query(&mut self) -> LogQuery {
        soon("a log query", self.log_queries.recv()).await.unwrap()
    }

    pub(crate) fn no_log_query(&mut self) -> bool {
        self.log_queries.try_recv().is_err()
    }

    /// Sends bytes as they are and reads until the connection ends.
    pub(crate) async fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_ref()).await.unwrap();
        let mut answer = Vec::new();
        soon("the end of an answer", stream.read_to_end(&mut answer))
            .await
            .unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = soon("an answer", request.send()).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = soon("the end of an answer", response.text()).await.unwrap();
    Answer {
        status,
        headers,
        body,
    }
}

pub(crate) async fn serve(routes: Router) -> SocketAddr {
    let server = Server::bind(ANY_PORT, routes).await.unwrap();
    let address = server.local_addr();
    tokio::spawn(server.run(std::future::pending()));
    address
}

/// A replica that answers with the request line it saw, and the body.
pub(crate) async fn echo() -> SocketAddr {
    serve(Router::new().fallback(|request: Request<Body>| async move {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        format!(
            "{} {}\n{}",
            parts.method,
            parts.uri,
            String::from_utf8_lossy(&body)
        )
    }))
    .await
}
