//! Gateways before one provider, which tells them apart.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use crate::support::{Answer, Deployed, Fake, Port, client, sample, soon, until};

/// The requests for replicas of the function `f`.
pub(super) const SCALE: &str = "POST /system/scale-function/f";
const LEADER: &str = "\ngateway_autoscaler_leader ";

/// The gateway's program.
pub(super) struct Process {
    pub(super) who: &'static str,
    child: Child,
    ports: [Port; 2],
    http: reqwest::Client,
}

impl Process {
    /// One that the provider knows by this name, at this NATS. It is ready.
    pub(super) async fn start(who: &'static str, fake: &Fake, nats: SocketAddr) -> Self {
        Self::before(&fake.by(who), who, nats).await
    }

    /// One at three servers on this port that are a cluster.
    pub(super) async fn at_cluster(who: &'static str, fake: &Fake, nats: SocketAddr) -> Self {
        let further = [
            ("faas_nats_address", "127.0.0.1,127.0.0.2,127.0.0.3"),
            ("nats_stream_replicas", "3"),
        ];
        Self::with(who, fake, nats, &further).await
    }

    /// One with further settings.
    pub(super) async fn with(
        who: &'static str,
        fake: &Fake,
        nats: SocketAddr,
        further: &[(&str, &str)],
    ) -> Self {
        let started = Self::begin(&fake.by(who), who, nats, further);
        started.is_ready().await;
        started
    }

    /// One before the provider at this address.
    pub(super) async fn before(provider: &str, who: &'static str, nats: SocketAddr) -> Self {
        let started = Self::begin(provider, who, nats, &[]);
        started.is_ready().await;
        started
    }

    fn begin(
        provider: &str,
        who: &'static str,
        nats: SocketAddr,
        further: &[(&str, &str)],
    ) -> Self {
        let ports = [Port::reserve(), Port::reserve()];
        let [public, private] = ports.each_ref().map(|port| port.address.port().to_string());
        let child = Command::new(env!("CARGO_BIN_EXE_gateway"))
            .env_clear()
            .env("functions_provider_url", provider)
            .env("port", public)
            .env("metrics_port", private)
            .env("faas_nats_address", "127.0.0.1")
            .env("faas_nats_port", nats.port().to_string())
            .env("autoscaler_tick", "200ms")
            .envs(further.iter().copied())
            .kill_on_drop(true)
            .stdout(Stdio::null())
            .stderr(match std::env::var_os("SHOW_LOGS") {
                Some(_) => Stdio::inherit(),
                None => Stdio::null(),
            })
            .spawn()
            .unwrap();
        Self {
            who,
            child,
            ports,
            http: client(),
        }
    }

    async fn is_ready(&self) {
        until("the gateway to be ready", async || {
            let asked = self.http.get(self.private("/readyz")).send().await;
            asked.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
    }

    fn private(&self, path: &str) -> String {
        format!("http://{}{path}", self.ports[1].address)
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.ports[0].address)
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        Answer::to(self.http.get(self.url(path))).await
    }

    /// So many calls, sent together.
    pub(super) fn calls(&self, path: &str, count: usize) -> JoinSet<Answer> {
        let path = self.url(path);
        let call = |_| Answer::to(self.http.get(&path));
        (0..count).map(call).collect()
    }

    /// So many calls, sent together, of which nobody hears what becomes of them.
    pub(super) fn lost_calls(&self, path: &str, count: usize) -> JoinSet<()> {
        let path = self.url(path);
        let call = |_| {
            let sent = self.http.get(&path).send();
            async { drop(sent.await) }
        };
        (0..count).map(call).collect()
    }

    /// Asks for replicas, if it was idle for so many seconds where that is said.
    pub(super) async fn scale(&self, replicas: u64, if_idle: Option<u64>) -> u16 {
        let body = json!({"serviceName": "f", "replicas": replicas});
        let path = self.url("/system/scale-function/f");
        let request = self.http.post(path).json(&body);
        let request = match if_idle {
            Some(seconds) => request.header("x-if-idle-seconds", seconds),
            None => request,
        };
        Answer::to(request).await.status
    }

    /// Puts a call into the queue.
    pub(super) async fn later(&self) -> u16 {
        let request = self.http.post(self.url("/async-function/f"));
        Answer::to(request.body("x")).await.status
    }

    pub(super) async fn alert(&self, status: &str) -> u16 {
        let labels = json!({"function_name": "f.openfaas-fn"});
        let body = json!({"alerts": [{"status": status, "labels": labels}]});
        let request = self.http.post(self.url("/system/alert")).json(&body);
        Answer::to(request).await.status
    }

    /// Why `f` has its replicas.
    pub(super) async fn why(&self) -> Value {
        self.get("/system/scaling/f").await.json()
    }

    pub(super) async fn post(&self, path: &str, body: &'static str) -> Answer {
        Answer::to(self.http.post(self.url(path)).body(body)).await
    }

    pub(super) async fn deploy(&self, deployment: &Value) {
        let request = self.http.post(self.url("/system/functions"));
        assert_eq!(Answer::to(request.json(deployment)).await.status, 202);
    }

    /// A value on its metrics page.
    pub(super) async fn sample(&self, series: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let page = Answer::to(self.http.get(self.private("/metrics"))).await;
        sample(&page.text, series, labels)
    }

    /// Whether it says that it decides; one that does not answer does not.
    pub(super) async fn leads(&self) -> bool {
        let asked = self.http.get(self.private("/metrics")).send();
        let asked = tokio::time::timeout(Duration::from_secs(1), asked).await;
        let Ok(Ok(answer)) = asked else {
            return false;
        };
        let page = answer.text().await.unwrap_or_default();
        page.split_once(LEADER)
            .is_some_and(|(_, value)| value.starts_with('1'))
    }

    /// `kill -9`.
    pub(super) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    pub(super) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().unwrap().try_into().unwrap());
        kill(pid, signal).unwrap();
    }

    /// SIGTERM, and how it ended.
    pub(super) async fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        let ended = soon("the gateway to end", self.child.wait()).await;
        ended.unwrap().code()
    }
}

/// The one that leads, as soon as there is one, and the others.
pub(super) async fn leader_of(gateways: impl Into<Vec<Process>>) -> (Process, Vec<Process>) {
    let mut gateways = gateways.into();
    let mut leads = None;
    until("a leader", async || {
        for (at, gateway) in gateways.iter().enumerate() {
            if gateway.leads().await {
                leads = Some(at);
            }
        }
        leads.is_some()
    })
    .await;
    let leader = gateways.swap_remove(leads.unwrap());
    (leader, gateways)
}

/// Waits until a gateway leads; how long that took.
pub(super) async fn leads(gateway: &Process) -> Duration {
    let began = Instant::now();
    until(&format!("{} to lead", gateway.who), async || {
        gateway.leads().await
    })
    .await;
    began.elapsed()
}

/// A function with these labels.
pub(super) fn labelled(replicas: u64, labels: Value) -> Deployed {
    Deployed {
        labels,
        ..Deployed::with(replicas)
    }
}

/// A function that gets a replica for each call at a time.
pub(super) fn one_each(replicas: u64, down_window: &str) -> Deployed {
    labelled(
        replicas,
        json!({
            "com.openfaas.scale.type": "capacity",
            "com.openfaas.scale.target": "1",
            "com.openfaas.scale.target-proportion": "1",
            "com.openfaas.scale.max": "9",
            "com.openfaas.scale.down.window": down_window,
        }),
    )
}

/// A request for replicas of `f`: who asked for how many, and when.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) by: String,
    pub(super) replicas: u64,
    pub(super) at: Instant,
    /// Calls that were being answered just then.
    pub(super) calls: usize,
}

/// All of them, in order.
pub(super) fn asked(fake: &Fake) -> Vec<Asked> {
    let seen = fake.seen(SCALE).into_iter();
    seen.map(|seen| {
        let body: Value = serde_json::from_str(&seen.body).unwrap();
        Asked {
            replicas: body["replicas"].as_u64().unwrap(),
            by: seen.by,
            at: seen.at,
            calls: seen.calls,
        }
    })
    .collect()
}

/// Who asked for how many.
pub(super) fn told(asked: &[Asked]) -> Vec<(&str, u64)> {
    asked
        .iter()
        .map(|asked| (asked.by.as_str(), asked.replicas))
        .collect()
}

/// Waits until somebody has asked for so many.
pub(super) async fn are_asked_for(fake: &Fake, replicas: u64) {
    until(&format!("{replicas} to be asked for"), async || {
        asked(fake)
            .last()
            .is_some_and(|last| last.replicas == replicas)
    })
    .await;
}
