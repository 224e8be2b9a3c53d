//! Three nodes with engines of their own, gateway and provider on the second one, and the wires that can be pulled.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use faas_compose_tests::{Answer, Engine, until};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

/// Longer than Swarm takes to notice and to mend anything here on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(150);
/// What every node holds.
const IMAGES: &str =
    "ferrofaas/gateway:latest ferrofaas/provider-swarm:latest functions/alpine:latest";
/// The node with gateway and provider where there are three. It manages, and does not lead at first.
const HOME: usize = 2;
const NODES: usize = 3;
/// One cluster at a time: three engines are enough for one machine.
static ALONE: Mutex<()> = Mutex::const_new(());

/// The nodes; all gone when dropped.
pub(crate) struct Cluster {
    directory: TempDir,
    number: String,
    nodes: usize,
    /// The node with gateway and provider.
    pub(crate) home: usize,
    http: Client,
    _alone: MutexGuard<'static, ()>,
}

impl Cluster {
    /// Starts three nodes, `managers` of which manage, and the platform.
    pub(crate) async fn up(managers: usize) -> Self {
        Self::start(NODES, managers, HOME).await
    }

    /// One node with all of it.
    pub(crate) async fn of_one() -> Self {
        Self::start(1, 1, 1).await
    }

    async fn start(count: usize, managers: usize, home: usize) -> Self {
        let alone = ALONE.lock().await;
        // Where an engine's data may lie: not every /tmp is a disk.
        let directory = tempfile::Builder::new()
            .prefix("ferro.")
            .tempdir_in("/var/tmp")
            .unwrap();
        let engines_home = directory.path().join("e");
        let (nodes, managers) = (count.to_string(), managers.to_string());
        engines(&["up", engines_home.to_str().unwrap(), &nodes, &managers]);
        let number = std::fs::read_to_string(engines_home.join("number")).unwrap();
        let cluster = Self {
            directory,
            number: number.trim().to_owned(),
            nodes: count,
            home,
            http: Client::builder().no_proxy().build().unwrap(),
            _alone: alone,
        };
        for node in 1..=count {
            cluster.fill(node);
        }
        cluster.start_platform().await;
        cluster
    }

    fn engines_home(&self) -> PathBuf {
        self.directory.path().join("e")
    }

    fn socket(&self, node: usize) -> PathBuf {
        self.engines_home()
            .join(node.to_string())
            .join("docker.sock")
    }

    /// The engine of a node.
    pub(crate) fn engine(&self, node: usize) -> Engine {
        let address = format!("10.98.{}.1{node}", self.number);
        Engine {
            host: format!("unix://{}", self.socket(node).display()),
            address: address.parse().unwrap(),
        }
    }

    /// Copies the images from the tests' engine.
    fn fill(&self, node: usize) {
        let (from, to) = (Engine::of_tests(), self.engine(node));
        let copy = format!(
            "docker --host {} save {IMAGES} | docker --host {} load",
            from.host, to.host
        );
        let copied = Command::new("sh").args(["-ec", &copy]).output().unwrap();
        assert!(copied.status.success(), "{copied:?}");
    }

    async fn start_platform(&self) {
        let engine = self.engine(self.home);
        let network = "network create -d overlay --attachable --subnet 10.62.0.0/20 functions";
        docker(&engine, network);
        let group = std::fs::metadata(self.socket(self.home)).unwrap().gid();
        let socket = self.socket(self.home);
        let provider = format!(
            "run -d --restart always --name provider --network functions --user 65532:{group} \
             -v {}:/var/run/docker.sock -e functions_network=functions ferrofaas/provider-swarm",
            socket.display()
        );
        docker(&engine, &provider);
        docker(
            &engine,
            "run -d --restart always --name gateway --network functions -p 8080:8080 -e basic_auth=false \
             -e functions_provider_url=http://provider:8080/ ferrofaas/gateway",
        );
        let health = async || self.ask(Method::GET, "/healthz", "").await.0;
        until("the platform", PATIENCE, health, |code| {
            *code == StatusCode::OK
        })
        .await;
    }

    /// URL of a path of the gateway.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}:8080{path}", self.engine(self.home).address)
    }

    /// Asks the gateway; an answer that cannot be had is a 599 with the reason.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let request = self.http.request(method, self.url(path)).body(body);
        answer(request.timeout(Duration::from_secs(30))).await
    }

    /// Deploys a function, and has that many replicas of it, on all nodes.
    pub(crate) async fn have(&self, name: &str, process: &str, replicas: u64) {
        let function = json!({
            "service": name, "image": "functions/alpine:latest", "envProcess": process,
            // As many as that, however many calls there are.
            "labels": {
                "com.openfaas.scale.min": replicas.to_string(),
                "com.openfaas.scale.max": replicas.to_string(),
            },
            "envVars": {"mode": "streaming", "healthcheck_interval": "0s", "write_timeout": "60s", "exec_timeout": "60s"},
        });
        let said = self
            .ask(Method::POST, "/system/functions", function.to_string())
            .await;
        assert_eq!(said.0, StatusCode::ACCEPTED, "{said:?}");
        self.available(name, replicas).await;
        for node in 1..=self.nodes {
            let here = self.replicas(name, node).len();
            assert!(here > 0, "node {node} has no replica of {name}");
        }
    }

    /// Waits until so many replicas answer.
    pub(crate) async fn available(&self, name: &str, replicas: u64) {
        let path = format!("/system/function/{name}");
        let status = async || self.ask(Method::GET, &path, "").await.1;
        let what = format!("{replicas} replicas of {name}");
        until(&what, PATIENCE, status, |status| {
            let status: Value = serde_json::from_str(status).unwrap_or_default();
            status["availableReplicas"] == replicas
        })
        .await;
    }

    /// Asks for a number of replicas.
    pub(crate) async fn scale(&self, name: &str, replicas: u64) -> Answer {
        let body = json!({"serviceName": name, "replicas": replicas}).to_string();
        let path = format!("/system/scale-function/{name}");
        self.ask(Method::POST, &path, body).await
    }

    /// Host names of the replicas that run on a node.
    pub(crate) fn replicas(&self, name: &str, node: usize) -> HashSet<String> {
        let filter = format!("label=com.docker.swarm.service.name={name}");
        let list = ["ps", "-q", "--filter", filter.as_str()];
        let ids = self.engine(node).docker(&list);
        ids.split_whitespace().map(str::to_owned).collect()
    }

    /// Pulls a node's wire, or puts it back.
    fn wire(&self, node: usize, state: &str) {
        let (switch, port) = (format!("ferro{}", self.number), format!("node{node}"));
        let mut ip = Command::new("ip");
        let set = ip.args(["-n", &switch, "link", "set", &port, state]);
        assert!(set.status().unwrap().success());
    }

    /// Nothing gets to a node or from it any more.
    pub(crate) fn lose(&self, node: usize) {
        self.wire(node, "down");
    }

    /// A lost node is there again.
    pub(crate) fn find(&self, node: usize) {
        self.wire(node, "up");
    }

    /// Restarts a node's engine, which stops what runs there: in order with TERM, at a stroke with KILL.
    pub(crate) fn restart(&self, node: usize, signal: &str) {
        let home = self.engines_home();
        engines(&["restart", home.to_str().unwrap(), &node.to_string(), signal]);
    }

    /// Waits until the swarm has all nodes again.
    pub(crate) async fn whole(&self) {
        let nodes = async || {
            let mut list = self.engine(self.home).command("docker");
            let list = list.args(["node", "ls", "--format", "{{.Status}} {{.ManagerStatus}}"]);
            String::from_utf8(list.output().unwrap().stdout).unwrap()
        };
        until("all nodes", PATIENCE, nodes, |nodes| {
            nodes.matches("Ready").count() == self.nodes && !nodes.contains("Unreachable")
        })
        .await;
    }

    /// Deletes a function, and waits until nothing of it runs anywhere.
    pub(crate) async fn delete(&self, name: &str) {
        let body = json!({"functionName": name}).to_string();
        let said = self.ask(Method::DELETE, "/system/functions", body).await;
        assert_eq!(said.0, StatusCode::ACCEPTED, "{said:?}");
        let left = async || {
            (1..=self.nodes)
                .flat_map(|node| self.replicas(name, node))
                .count()
        };
        until("nothing to be left", PATIENCE, left, |left| *left == 0).await;
    }
}

impl Drop for Cluster {
    #[allow(clippy::print_stderr, reason = "a test that fails says why")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in ["gateway", "provider"] {
                let mut logs = self.engine(self.home).command("docker");
                let logs = logs.args(["logs", "--tail", "60", name]).output().unwrap();
                let text = [logs.stdout, logs.stderr].concat();
                eprintln!("--- {name}\n{}", String::from_utf8_lossy(&text));
            }
        }
        engines(&["down", self.engines_home().to_str().unwrap()]);
    }
}

fn docker(engine: &Engine, arguments: &str) {
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    let _ = engine.docker(&arguments);
}

fn engines(arguments: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(".ci/engine");
    let ended = command.args(arguments).current_dir(root).output().unwrap();
    let words = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{arguments:?}: {words}");
}

/// The status and the text of an answer; 599 and the reason where there is none.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let unheard = |error: reqwest::Error| (StatusCode::from_u16(599).unwrap(), error.to_string());
    match request.send().await {
        Ok(response) => {
            let status = response.status();
            let text = response.text().await;
            text.map_or_else(unheard, |text| (status, text))
        }
        Err(error) => unheard(error),
    }
}
