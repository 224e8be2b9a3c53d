//! The real provider over sockets, running real processes, and how to talk to it.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use faas_provider_memory::sandbox::Allowed;
use faas_provider_memory::{Capabilities, Config, Error, MemoryService};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Far longer than anything here takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A status and a body.
pub(crate) type Answer = (StatusCode, String);

/// Fails a test that waits for something that never comes.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// Asks again and again until the answer is yes.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    soon(what, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

pub(crate) fn ok(body: &str) -> Answer {
    (StatusCode::OK, body.to_owned())
}

pub(crate) fn accepted() -> Answer {
    (StatusCode::ACCEPTED, String::new())
}

/// A text that nothing else on this machine has.
pub(crate) fn mark() -> String {
    format!("mark-{:x}", fastrand::u64(..))
}

/// A provider's API.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) url: String,
    http: reqwest::Client,
}

impl Api {
    pub(crate) fn at(url: String) -> Self {
        let http = reqwest::Client::builder().no_proxy();
        let http = http.redirect(reqwest::redirect::Policy::none()).build();
        Self {
            url,
            http: http.unwrap(),
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        answer(self.request(method, path).body(body.to_string())).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let (status, text) = self.get(path).await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    pub(crate) async fn post_function(&self, function: &Value) -> Answer {
        self.post("/system/functions", function).await
    }

    pub(crate) async fn update(&self, function: &Value) -> Answer {
        self.send(Method::PUT, "/system/functions", function).await
    }

    /// Deploys, and waits until it answers.
    pub(crate) async fn have(&self, function: &Value) {
        assert_eq!(self.post_function(function).await, accepted());
        let name = function["service"].as_str().unwrap();
        let namespace = function["namespace"].as_str().unwrap_or("openfaas-fn");
        self.available(&format!("{name}?namespace={namespace}"), 1)
            .await;
    }

    pub(crate) async fn delete(&self, name: &str) -> Answer {
        let body = json!({"functionName": name});
        self.send(Method::DELETE, "/system/functions", &body).await
    }

    pub(crate) async fn scale(&self, name: &str, replicas: u64) -> Answer {
        let body = json!({"serviceName": name, "replicas": replicas});
        self.post(&format!("/system/scale-function/{name}"), &body)
            .await
    }

    pub(crate) async fn status(&self, name: &str) -> Value {
        self.json(&format!("/system/function/{name}")).await
    }

    /// Waits until exactly as many replicas as these answer.
    pub(crate) async fn available(&self, name: &str, replicas: u64) {
        until(&format!("{replicas} replicas of {name}"), async || {
            self.status(name).await["availableReplicas"] == replicas
        })
        .await;
    }

    pub(crate) async fn call(&self, name: &str, body: &str) -> Answer {
        let request = self.request(Method::POST, &format!("/function/{name}"));
        answer(request.body(body.to_owned())).await
    }

    pub(crate) async fn create_secret(&self, secret: &Value) -> Answer {
        self.post("/system/secrets", secret).await
    }

    pub(crate) async fn create_namespace(&self, name: &str) {
        let body = json!({"name": name, "labels": {"openfaas": "1"}});
        let answer = self.post("/system/namespace/", &body).await;
        assert_eq!(answer, (StatusCode::CREATED, String::new()));
    }

    /// Every line of a log, as far as it goes by now; `query` beyond the name.
    pub(crate) async fn log_lines(&self, name: &str, query: &str) -> Vec<Value> {
        let (status, text) = self.get(&format!("/system/logs?name={name}{query}")).await;
        assert_eq!(status, 200, "{text}");
        let lines = text.lines().map(serde_json::from_str);
        lines.map(Result::unwrap).collect()
    }

    pub(crate) async fn log(&self, name: &str) -> String {
        let lines = self.log_lines(name, "").await;
        let texts = lines.iter().map(|line| line["text"].as_str().unwrap());
        texts.collect::<Vec<_>>().join("\n")
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = soon("an answer", request.send()).await.unwrap();
    let status = response.status();
    let body = soon("the body", response.bytes()).await;
    let body = body.unwrap_or_else(|error| error.to_string().into());
    (status, String::from_utf8_lossy(&body).into_owned())
}

/// A function by its name and program.
pub(crate) fn function(name: &str, process: &str) -> Value {
    json!({"service": name, "image": "any", "envProcess": process})
}

/// The same with more keys, or others.
pub(crate) fn with(mut function: Value, more: Value) -> Value {
    let more = more.as_object().unwrap().clone();
    function.as_object_mut().unwrap().extend(more);
    function
}

/// Directories of a provider: its data, and its functions' programs, which every uid can read.
#[derive(Clone)]
pub(crate) struct Home(Arc<TempDir>);

impl Home {
    pub(crate) fn new() -> Self {
        let home = Self(Arc::new(tempfile::tempdir().unwrap()));
        readable(home.0.path());
        std::fs::create_dir(home.path("functions")).unwrap();
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A shell script that functions find in the directory they start in.
    pub(crate) fn script(&self, name: &str, text: &str) {
        let path = self.path("functions").join(name);
        std::fs::write(&path, text).unwrap();
        readable(&path);
    }
}

fn readable(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A provider in this process. Its replicas are processes of the real binary.
pub(crate) struct Provider {
    api: Api,
    pub(crate) home: Home,
    pub(crate) capabilities: Capabilities,
    stop: CancellationToken,
    run: JoinHandle<Result<(), Error>>,
}

impl Deref for Provider {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl Provider {
    pub(crate) async fn start() -> Self {
        Self::with(Home::new(), |_| (), Allowed::default()).await
    }

    pub(crate) async fn allowed(allowed: Allowed) -> Self {
        Self::with(Home::new(), |_| (), allowed).await
    }

    pub(crate) async fn in_home(home: &Home) -> Self {
        Self::with(home.clone(), |_| (), Allowed::default()).await
    }

    pub(crate) async fn with(
        home: Home,
        change: impl FnOnce(&mut Config),
        allowed: Allowed,
    ) -> Self {
        let mut config = Config::embedded().unwrap();
        config.data_dir = Some(home.path("data"));
        config.functions_dir = Some(home.path("functions"));
        change(&mut config);
        let service = bind(config, allowed).await.unwrap();
        let stop = CancellationToken::new();
        Self {
            api: Api::at(format!("http://{}", service.local_addr())),
            home,
            capabilities: service.capabilities().clone(),
            run: tokio::spawn(service.run(stop.clone().cancelled_owned())),
            stop,
        }
    }

    /// Stops it as SIGTERM does, and waits until it has.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        soon("the provider to stop", self.run)
            .await
            .unwrap()
            .unwrap();
    }
}

pub(crate) async fn bind(config: Config, allowed: Allowed) -> Result<MemoryService, Error> {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_provider-memory"));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    MemoryService::bind_as(config, address, None, allowed, Some(program)).await
}
