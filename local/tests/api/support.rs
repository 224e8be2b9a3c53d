//! Starting `faas-local` on free ports with a directory of its own, and talking to it.

use std::future::Future;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

/// Far longer than anything here takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

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

/// `faas-local` with these variables and nothing else of ours in its environment.
pub(crate) fn command(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faas-local"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// What the program says when it does not start: its exit status, stdout and stderr.
pub(crate) async fn refusal(variables: &[(&str, &str)], arguments: &[&str]) -> Refusal {
    let output = command(variables).args(arguments).output();
    let output = soon("the program to end", output).await.unwrap();
    Refusal {
        status: output.status,
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// How a program ended that did not start.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A running `faas-local`.
pub(crate) struct Local {
    child: Child,
    pub(crate) url: String,
    pub(crate) metrics: String,
    pub(crate) home: Arc<TempDir>,
    stdout: Text,
    stderr: Text,
    http: reqwest::Client,
}

impl Local {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        Self::in_home(Arc::new(tempfile::tempdir().unwrap()), variables).await
    }

    /// A start in the directory of an earlier one.
    pub(crate) async fn in_home(home: Arc<TempDir>, variables: &[(&str, &str)]) -> Self {
        let functions = home.path().join("functions");
        std::fs::create_dir_all(&functions).unwrap();
        let mut command = command(&[("port", "0"), ("metrics_port", "0")]);
        command
            .env("data_dir", home.path().join("data"))
            .current_dir(&functions)
            .envs(variables.iter().copied());
        let mut child = command.spawn().unwrap();
        let stdout = Text::read(child.stdout.take().unwrap());
        let stderr = Text::read(child.stderr.take().unwrap());
        until("the banner", async || {
            assert!(child.try_wait().unwrap().is_none(), "{}", stderr.text());
            stdout.text().contains("Ctrl-C")
        })
        .await;
        let banner = stdout.text();
        Self {
            url: between(&banner, "listens on ", " (metrics: "),
            metrics: between(&banner, "(metrics: ", ")."),
            child,
            home,
            stdout,
            stderr,
            http: client(),
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id().unwrap()).unwrap()
    }

    pub(crate) fn banner(&self) -> String {
        self.stdout.text()
    }

    pub(crate) fn log(&self) -> String {
        self.stderr.text()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        soon("faas-local to end", self.child.wait()).await.unwrap()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// Sends JSON; the status and the body that came back.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> (StatusCode, String) {
        answer(self.request(method, path).body(body.to_string())).await
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, String) {
        answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let (status, text) = self.get(path).await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    pub(crate) async fn deploy(&self, name: &str, process: &str) {
        let body = json!({"service": name, "image": name, "envProcess": process});
        let answer = self.send(Method::POST, "/system/functions", body).await;
        assert_eq!(answer, (StatusCode::ACCEPTED, String::new()));
    }

    pub(crate) async fn scale(&self, name: &str, replicas: u64) {
        let body = json!({"serviceName": name, "replicas": replicas});
        let path = format!("/system/scale-function/{name}");
        let answer = self.send(Method::POST, &path, body).await;
        assert_eq!(answer, (StatusCode::ACCEPTED, String::new()));
    }

    /// Waits until as many replicas as these answer.
    pub(crate) async fn available(&self, name: &str, replicas: u64) {
        let path = format!("/system/function/{name}");
        until("the replicas", async || {
            self.json(&path).await["availableReplicas"] == replicas
        })
        .await;
    }

    pub(crate) async fn call(&self, name: &str, body: &str) -> (StatusCode, String) {
        let path = format!("/function/{name}");
        answer(self.request(Method::POST, &path).body(body.to_owned())).await
    }
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (StatusCode, String) {
    let response = soon("an answer", request.send()).await.unwrap();
    let status = response.status();
    (
        status,
        soon("the body", response.text())
            .await
            .unwrap_or_else(|error| error.to_string()),
    )
}

pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

fn between(text: &str, before: &str, after: &str) -> String {
    let (_, rest) = text.split_once(before).unwrap();
    rest.split_once(after).unwrap().0.to_owned()
}

/// What a program has printed so far.
#[derive(Clone, Default)]
struct Text(Arc<Mutex<String>>);

impl Text {
    fn read(from: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let text = Self::default();
        let read = text.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(from).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let mut text = read.0.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
            }
        });
        text
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}
