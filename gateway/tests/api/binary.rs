//! The program `gateway` itself.

use std::net::{SocketAddr, TcpListener};
use std::process::{ExitStatus, Output, Stdio};

use faas_gateway::Config;
use faas_http::env::Settings;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::support::{Answer, Deployed, Fake, Port, Wire, client, soon, until};

fn gateway() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    command.env_clear().kill_on_drop(true);
    command
}

async fn output(command: &mut Command) -> Output {
    soon("the program to end", command.output()).await.unwrap()
}

/// The program, running.
struct Running {
    child: Child,
    address: SocketAddr,
    ports: [Port; 2],
}

impl Running {
    async fn before(fake: &Fake) -> Self {
        let [port, metrics] = [Port::reserve(), Port::reserve()];
        let child = gateway()
            .env(
                "functions_provider_url",
                format!("http://{}/", fake.address),
            )
            .env("port", port.address.port().to_string())
            .env("metrics_port", metrics.address.port().to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let ready = format!("http://{}/readyz", metrics.address);
        let running = Self {
            child,
            address: port.address,
            ports: [port, metrics],
        };
        until("the program to be ready", async || {
            let asked = client().get(&ready).send().await;
            asked.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
        running
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn metrics_port(&self) -> u16 {
        self.ports[1].address.port()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().unwrap().try_into().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    async fn ended(&mut self) -> ExitStatus {
        soon("the program to end", self.child.wait()).await.unwrap()
    }

    /// The most memory that it ever held, in MiB.
    fn peak_mebibytes(&self) -> usize {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        let kibibytes = line.split_whitespace().nth(1).unwrap();
        kibibytes.parse::<usize>().unwrap() / 1024
    }
}

#[tokio::test]
async fn help_lists_every_variable() {
    let help = output(gateway().arg("--help")).await;
    assert!(help.status.success());
    let text = String::from_utf8(help.stdout).unwrap();
    for variable in Config::VARIABLES {
        let line = format!("\n  {} ({};", variable.name, variable.kind);
        assert!(text.contains(&line), "{} is not in:\n{text}", variable.name);
    }
    for name in [
        "functions_provider_url",
        "upstream_timeout",
        "basic_auth",
        "metrics_port",
    ] {
        assert!(text.contains(name), "{name}");
    }
}

#[tokio::test]
async fn health_asks_the_gateway_that_runs_here() {
    let fake = Fake::start().await;
    let mut running = Running::before(&fake).await;
    let port = running.metrics_port().to_string();
    let ask = || gateway().arg("health").env("metrics_port", &port).output();
    let asked = soon("an answer", ask()).await.unwrap();
    assert_eq!((asked.status.code(), asked.stderr), (Some(0), vec![]));

    running.signal(Signal::SIGTERM);
    running.ended().await;
    let asked = soon("an answer", ask()).await.unwrap();
    assert_eq!(asked.status.code(), Some(1));
    let words = String::from_utf8(asked.stderr).unwrap();
    let expected = format!("gateway: http://127.0.0.1:{port}/healthz: ");
    assert!(words.starts_with(&expected), "{words}");
}

#[tokio::test]
async fn every_bad_setting_is_reported_at_once() {
    let started = output(
        gateway()
            .env("functions_provider_url", "nowhere")
            .env("port", "8O80")
            .env("upstream_timeout", "soon")
            .env("basic_auth", "yes"),
    )
    .await;
    assert_eq!(started.status.code(), Some(1));
    let words = String::from_utf8(started.stderr).unwrap();
    for mistake in [
        "functions_provider_url: `nowhere`",
        "port: `8O80`",
        "upstream_timeout: `soon`",
        "basic_auth: `yes`",
    ] {
        assert!(words.contains(mistake), "{mistake} is not in {words}");
    }
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let started = output(&mut gateway()).await;
    assert_eq!(started.status.code(), Some(1));
    let words = String::from_utf8(started.stderr).unwrap();
    assert!(
        words.contains("functions_provider_url: required, but not set"),
        "{words}"
    );

    let empty = tempfile::tempdir().unwrap();
    let started = output(
        gateway()
            .env("functions_provider_url", "http://127.0.0.1:1")
            .env("basic_auth", "true")
            .env("secret_mount_path", empty.path()),
    )
    .await;
    assert_eq!(started.status.code(), Some(1));
    let words = String::from_utf8(started.stderr).unwrap();
    assert!(words.contains("basic-auth-user cannot be read"), "{words}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let started = output(
        gateway()
            .env("functions_provider_url", "http://127.0.0.1:1")
            .env("port", &port)
            .env("metrics_port", "0"),
    )
    .await;
    assert_eq!(started.status.code(), Some(1));
    let words = String::from_utf8(started.stderr).unwrap();
    assert!(
        words.contains(&format!("cannot listen on 0.0.0.0:{port}")),
        "{words}"
    );
}

#[tokio::test]
async fn sigterm_and_sigint_drain() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let fake = Fake::start().await;
        fake.deploy("f", Deployed::with(1));
        let mut running = Running::before(&fake).await;
        let address = running.address;
        let mut caller = Wire::asking(address, "GET", "/function/f/hold").await;
        fake.replica.stage.holds(1).await;
        running.signal(signal);
        until("new connections to be refused", async || {
            tokio::net::TcpStream::connect(address).await.is_err()
        })
        .await;
        fake.replica.stage.let_go(1);
        let answer = caller.rest().await;
        assert!(answer.ends_with("released"), "{signal}: {answer}");
        assert_eq!(running.ended().await.code(), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn memory_does_not_grow_with_bodies() {
    const MEBIBYTES: usize = 64;
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let running = Running::before(&fake).await;
    let before = running.peak_mebibytes();

    let piece = bytes::Bytes::from(vec![b'x'; 1024 * 1024]);
    let pieces = std::iter::repeat_n(piece, MEBIBYTES).map(Ok::<_, std::io::Error>);
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let upload = client().post(running.url("/function/f/count")).body(body);
    let counted = Answer::to(upload).await;
    assert_eq!(counted.text, (MEBIBYTES * 1024 * 1024).to_string());

    let download = client().get(running.url(&format!("/function/f/big/{MEBIBYTES}")));
    let download = Answer::to(download).await;
    assert_eq!(download.text.len(), MEBIBYTES * 1024 * 1024);

    let grown = running.peak_mebibytes() - before;
    assert!(grown < 16, "{grown} MiB more than {before} MiB");
}
