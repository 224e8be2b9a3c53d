//! The provider on the swarm, and how to talk to it.

use std::ops::Deref;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::fault_proxy::FaultProxy;
use crate::swarm::{EMPTY, IMAGE, NETWORK, built, engine, forget};

/// Far longer than anything here takes on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// A status and a body.
pub(crate) type Answer = (StatusCode, String);

pub(crate) fn accepted() -> Answer {
    (StatusCode::ACCEPTED, String::new())
}

/// A name that nothing else in the swarm has.
pub(crate) fn unique(name: &str) -> String {
    format!("{name}-{:08x}", fastrand::u32(..))
}

/// Asks again and again until the answer is yes.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let mut asked = async || {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(DEADLINE, asked())
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"));
}

/// A program of ours in a container on the functions' network; removed when dropped.
pub(crate) struct Program {
    pub(crate) container: String,
    pub(crate) url: String,
}

impl Program {
    pub(crate) fn start(program: &str, variables: &[(&str, &str)], mounts: &[String]) -> Self {
        let engine = engine();
        let binary = format!("{}:/main:ro", built(program).display());
        let mut arguments: Vec<String> = [
            "run",
            "-d",
            "--network",
            NETWORK,
            "-p",
            "8080",
            "-v",
            "/lib:/lib:ro",
            "-v",
            "/lib64:/lib64:ro",
            "-v",
            &binary,
        ]
        .map(str::to_owned)
        .into();
        for mount in mounts {
            arguments.extend(["-v".to_owned(), mount.clone()]);
        }
        for (name, value) in variables {
            arguments.extend(["-e".to_owned(), format!("{name}={value}")]);
        }
        arguments.extend([EMPTY.to_owned(), "/main".to_owned()]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let container = engine.docker(&arguments).trim().to_owned();
        let port = engine.docker(&["port", &container, "8080"]);
        let port = port.lines().next().unwrap().rsplit(':').next().unwrap();
        let url = format!("http://{}:{port}", engine.address);
        Self { container, url }
    }

    pub(crate) fn log(&self) -> String {
        let mut command = engine().command("docker");
        let output = command.args(["logs", &self.container]).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }
}

impl Drop for Program {
    #[allow(clippy::print_stderr, reason = "a test that fails says why")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of {}\n{}", self.url, self.log());
        }
        let _ = engine().docker(&["rm", "-f", &self.container]);
    }
}

/// An API, the provider's or a gateway's.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
}

impl Api {
    pub(crate) fn at(url: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(DEADLINE);
        Self {
            url: url.to_owned(),
            http: http.build().unwrap(),
        }
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: String) -> Answer {
        let request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .body(body);
        let response = request.send().await.unwrap();
        (
            response.status(),
            response
                .text()
                .await
                .unwrap_or_else(|error| error.to_string()),
        )
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, String::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, body.to_string()).await
    }

    pub(crate) async fn remove(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::DELETE, path, body.to_string()).await
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let (status, text) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub(crate) async fn deploy(&self, function: &Value) -> Answer {
        self.post("/system/functions", function).await
    }

    pub(crate) async fn update(&self, function: &Value) -> Answer {
        self.put("/system/functions", function).await
    }

    pub(crate) async fn delete(&self, name: &str) -> Answer {
        self.remove("/system/functions", &json!({"functionName": name}))
            .await
    }

    pub(crate) async fn scale(&self, name: &str, replicas: u64) -> Answer {
        let body = json!({"serviceName": name, "replicas": replicas});
        self.post(&format!("/system/scale-function/{name}"), &body)
            .await
    }

    pub(crate) async fn status(&self, name: &str) -> Value {
        self.json(&format!("/system/function/{name}")).await
    }

    pub(crate) async fn call(&self, name: &str, body: &str) -> Answer {
        self.send(Method::POST, &format!("/function/{name}"), body.to_owned())
            .await
    }

    /// Waits until exactly as many replicas as these answer.
    pub(crate) async fn available(&self, name: &str, replicas: u64) {
        until(&format!("{replicas} replicas of {name}"), async || {
            self.status(name).await["availableReplicas"] == replicas
        })
        .await;
    }

    /// Deploys, and waits until it answers.
    pub(crate) async fn have(&self, function: &Value) {
        assert_eq!(self.deploy(function).await, accepted());
        self.available(function["service"].as_str().unwrap(), 1)
            .await;
    }

    /// Waits until the status says this of what is wrong.
    pub(crate) async fn problem(&self, name: &str, words: &str) {
        until(&format!("`{words}` in the status of {name}"), async || {
            let status = self.status(name).await;
            status["problem"]
                .as_str()
                .is_some_and(|problem| problem.contains(words))
        })
        .await;
    }

    pub(crate) async fn log_lines(&self, name: &str, query: &str) -> Vec<Value> {
        let (status, text) = self.get(&format!("/system/logs?name={name}{query}")).await;
        assert_eq!(status, 200, "{text}");
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub(crate) async fn log_texts(&self, name: &str, query: &str) -> Vec<String> {
        let lines = self.log_lines(name, query).await;
        lines
            .iter()
            .map(|line| line["text"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// A provider with a default namespace of its own, and all that is in it gone when dropped.
pub(crate) struct Provider {
    api: Api,
    pub(crate) program: Program,
    pub(crate) namespace: String,
}

impl Deref for Provider {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl Provider {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        Self::mounting(variables, &[]).await
    }

    /// A provider that sees directories of this machine.
    pub(crate) async fn mounting(variables: &[(&str, &str)], mounts: &[String]) -> Self {
        let socket = engine().host.strip_prefix("unix://").unwrap();
        let provider = Self::run(socket, variables, mounts);
        until("the provider to be well", async || provider.is_well().await).await;
        provider
    }

    /// A provider whose engine is behind a proxy that can fail.
    pub(crate) async fn behind(proxy: &FaultProxy, variables: &[(&str, &str)]) -> Self {
        let provider = Self::on(proxy.socket().to_str().unwrap(), variables);
        until("the provider to be well", async || provider.is_well().await).await;
        provider
    }

    /// A provider that is not waited for.
    pub(crate) fn on(socket: &str, variables: &[(&str, &str)]) -> Self {
        Self::run(socket, variables, &[])
    }

    fn run(socket: &str, variables: &[(&str, &str)], mounts: &[String]) -> Self {
        let namespace = unique("t");
        let mut all = vec![
            ("functions_network", NETWORK),
            ("function_namespace", namespace.as_str()),
            ("log_level", "info,faas_provider_swarm=debug"),
        ];
        all.extend(variables);
        let socket = format!("{socket}:/var/run/docker.sock");
        let mounts = [mounts, &[socket]].concat();
        let program = Program::start("provider-swarm", &all, &mounts);
        Self {
            api: Api::at(&program.url),
            program,
            namespace,
        }
    }

    pub(crate) async fn is_well(&self) -> bool {
        let request = self.http.get(format!("{}/healthz", self.url)).send().await;
        request.is_ok_and(|response| response.status() == 200)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        for namespace in [&self.namespace, &format!("{}-2", self.namespace)] {
            forget(namespace);
        }
    }
}

/// A function by its name and program, which is gone at once when it is stopped.
pub(crate) fn function(name: &str, process: &str) -> Value {
    let at_once = json!({"healthcheck_interval": "0s", "write_timeout": "5s"});
    json!({"service": name, "image": IMAGE, "envProcess": process, "envVars": at_once})
}

/// The same with more keys, or others.
pub(crate) fn with(mut function: Value, more: Value) -> Value {
    let more = more.as_object().unwrap().clone();
    function.as_object_mut().unwrap().extend(more);
    function
}
