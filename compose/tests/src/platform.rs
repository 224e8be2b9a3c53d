//! A platform from the compose files, in a copy of their directory, as a fresh clone has it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

use crate::engine::{Engine, succeeded};
use crate::until;

/// Longer than a platform takes to be healthy on a busy machine.
const START: Duration = Duration::from_secs(120);

/// The status and the text of an answer.
pub type Answer = (StatusCode, String);

/// A platform under a project name of its own; taken down, volumes too, when dropped.
pub struct Platform {
    /// Where it runs.
    pub engine: Engine,
    directory: TempDir,
    project: String,
    files: Vec<&'static str>,
    variables: Vec<(String, String)>,
    client: Client,
    /// URL of the gateway that runs, once somebody asked for it.
    gateway: Mutex<Option<String>>,
}

impl Platform {
    /// A fresh copy of the compose directory, prepared; nothing runs yet.
    ///
    /// # Panics
    /// When the copy or `compose/prepare` fails.
    #[must_use]
    pub fn prepared(files: &[&'static str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        copy(&source, &directory.path().join("compose"));
        let name = directory.path().file_name().unwrap().to_string_lossy();
        let project = name.trim_start_matches('.').to_lowercase();
        let platform = Self {
            engine: Engine::of_tests(),
            directory,
            project,
            files: files.to_vec(),
            // Any free ports: tests run side by side.
            variables: vec![
                ("GATEWAY_PUBLISH".to_owned(), "0".to_owned()),
                ("PROMETHEUS_PUBLISH".to_owned(), "0".to_owned()),
            ],
            client: Client::builder().no_proxy().build().unwrap(),
            gateway: Mutex::default(),
        };
        platform.prepare();
        platform
    }

    /// Runs `compose/prepare`, as often as one likes.
    ///
    /// # Panics
    /// When it fails.
    pub fn prepare(&self) {
        let mut prepare = self.engine.command("compose/prepare");
        let output = prepare.current_dir(self.directory.path()).output();
        succeeded("compose/prepare", &output.unwrap());
    }

    /// Sets a knob, over what `.env` says.
    pub fn set(&mut self, knob: &str, value: &str) {
        self.variables.push((knob.to_owned(), value.to_owned()));
    }

    /// The copy of the compose directory.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("compose")
    }

    /// `docker-compose` with these arguments.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.engine.command("docker-compose");
        // From elsewhere: paths in the files must not depend on it.
        command.current_dir("/").args(["-p", &self.project]);
        for file in &self.files {
            command.arg("-f").arg(self.path().join(file));
        }
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        command.envs(variables).args(arguments);
        command
    }

    /// What `docker-compose` with these arguments does.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn outcome(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What `docker-compose` with these arguments prints.
    ///
    /// # Panics
    /// When it fails.
    pub fn compose(&self, arguments: &[&str]) -> String {
        let what = format!("docker-compose {arguments:?}");
        succeeded(&what, &self.outcome(arguments))
    }

    /// Starts it, or what changed, and waits until every container is healthy.
    ///
    /// # Panics
    /// When it does not become healthy; with the logs.
    pub async fn up(&self) {
        self.compose(&["up", "-d"]);
        *self.gateway.lock().unwrap() = None;
        let services = self.compose(&["config", "--services"]);
        for service in services.lines().filter(|name| *name != "certifier") {
            let healthy = async || self.health(service) == "healthy";
            let limit = tokio::time::timeout(START, async {
                while !healthy().await {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            });
            assert!(
                limit.await.is_ok(),
                "{service} is {}\n{}",
                self.health(service),
                self.compose(&["logs", "--no-color", "--tail", "40"])
            );
        }
    }

    /// The id of a service's container; empty where it has none.
    #[must_use]
    pub fn container(&self, service: &str) -> String {
        let label = |name: &str, value: &str| format!("label=com.docker.compose.{name}={value}");
        let (project, service) = (label("project", &self.project), label("service", service));
        let filters = ["--filter", &project, "--filter", &service];
        let found = self
            .engine
            .docker(&[&["ps", "-a", "-q"], &filters[..]].concat());
        found.trim().to_owned()
    }

    /// What the engine says of a service's health.
    #[must_use]
    pub fn health(&self, service: &str) -> String {
        let container = self.container(service);
        if container.is_empty() {
            return "not there".to_owned();
        }
        let state = &self.engine.inspect(&container)["State"];
        let health = state["Health"]["Status"].as_str();
        health.unwrap_or("without a health check").to_owned()
    }

    /// URL of a published port.
    ///
    /// # Panics
    /// When it is not published.
    #[must_use]
    pub fn url(&self, service: &str, port: &str, path: &str) -> String {
        let container = self.engine.inspect(&self.container(service));
        let published = &container["NetworkSettings"]["Ports"][format!("{port}/tcp")][0];
        let port = published["HostPort"].as_str().unwrap();
        format!("http://{}:{port}{path}", self.engine.address)
    }

    /// Says where the gateway is, where it is no service of a compose project.
    pub(crate) fn at(&mut self, url: String) {
        *self.gateway.lock().unwrap() = Some(url);
    }

    fn gateway(&self) -> String {
        let mut known = self.gateway.lock().unwrap();
        let found = known.get_or_insert_with(|| self.url("gateway", "8080", ""));
        found.clone()
    }

    /// The user and the password that `compose/prepare` made.
    #[must_use]
    pub fn credentials(&self) -> (String, String) {
        let secret = |name| fs::read_to_string(self.path().join("secrets").join(name)).unwrap();
        (secret("basic-auth-user"), secret("basic-auth-password"))
    }

    /// Asks the gateway, with credentials; an answer that cannot be had is a 599 with the reason.
    pub async fn ask(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let (user, password) = self.credentials();
        let url = self.gateway() + path;
        let request = self.client.request(method, url);
        answer(request.basic_auth(user, Some(password)).body(body)).await
    }

    /// Any URL, without credentials.
    pub async fn get(&self, url: &str) -> Answer {
        answer(self.client.get(url)).await
    }

    /// Deploys a function.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn deploy(&self, function: Value) {
        let said = self
            .ask(Method::POST, "/system/functions", function.to_string())
            .await;
        assert_eq!(said.0, StatusCode::ACCEPTED, "{said:?}");
    }

    /// Calls a function until it is answered 200, which a new one is within a moment; the text.
    pub async fn call(&self, function: &str, body: &'static str) -> String {
        let path = format!("/function/{function}");
        let ask = async || self.ask(Method::POST, &path, body).await;
        let what = format!("{function} to answer");
        until(&what, Duration::from_secs(30), ask, |(status, _)| {
            *status == StatusCode::OK
        })
        .await
        .1
    }

    /// Queues a call whose answer is kept; its invocation id.
    ///
    /// # Panics
    /// When it is not accepted.
    pub async fn queue(&self, function: &str, body: impl Into<reqwest::Body>) -> String {
        let header = ("X-Async-Result", "keep");
        self.queue_with(header, function, body).await
    }

    /// Queues a call with a header; its invocation id.
    ///
    /// # Panics
    /// When it is not accepted.
    pub async fn queue_with(
        &self,
        header: (&'static str, &str),
        function: &str,
        body: impl Into<reqwest::Body>,
    ) -> String {
        let url = format!("{}/async-function/{function}", self.gateway());
        let call = self.client.post(url).header(header.0, header.1);
        let said = call.body(body).send().await.unwrap();
        assert_eq!(said.status(), StatusCode::ACCEPTED, "{said:?}");
        let id = said.headers()["x-invocation-id"].to_str().unwrap();
        id.to_owned()
    }

    /// What is known of a queued call; null where nothing is.
    pub async fn queued(&self, id: &str) -> Value {
        let path = format!("/async-function/{id}");
        let (_, text) = self.ask(Method::GET, &path, "").await;
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Waits until a queued call has succeeded; its answer's body.
    ///
    /// # Panics
    /// When it does not.
    pub async fn result(&self, id: &str) -> String {
        let known = async || self.queued(id).await;
        let limit = Duration::from_secs(60);
        let known = until("the call's end", limit, known, |known| {
            known["state"] == "succeeded"
        })
        .await;
        known["result"]["body"].as_str().unwrap().to_owned()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        if !self.files.is_empty() {
            let _ = self.outcome(&["down", "-v", "-t", "1", "--remove-orphans"]);
        }
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let unheard = |error: reqwest::Error| {
        let status = StatusCode::from_u16(599).unwrap();
        (status, error.to_string())
    };
    match request.timeout(Duration::from_secs(60)).send().await {
        Ok(response) => {
            let status = response.status();
            response
                .text()
                .await
                .map_or_else(unheard, |text| (status, text))
        }
        Err(error) => unheard(error),
    }
}

/// Copies what a checkout holds: neither secrets nor `.env`, which `prepare` makes, nor these tests.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if ["secrets", ".env", "tests"]
            .iter()
            .any(|left| name == *left)
        {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(name));
        } else {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}
