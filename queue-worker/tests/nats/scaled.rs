//! Functions that are scaled by what waits in the queue, as real processes: NATS, a gateway, a worker, provider-memory.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::processes::Process;
use crate::server::Server;
use crate::stack::Port;
use crate::until;

struct Platform {
    _provider: Process,
    _gateway: Process,
    nats: Server,
    public: Port,
    http: Client,
}

impl Platform {
    /// Without a worker.
    async fn start() -> Self {
        let nats = Server::start().await;
        let (public, provider) = (Port::reserved(), Port::reserved());
        let started = Process::of_workspace(
            "provider-memory",
            &[
                ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
                ("port", provider.text()),
            ],
        );
        let gateway = Process::gateway(&[
            ("functions_provider_url", format!("http://{}/", provider.0)),
            ("port", public.text()),
            ("metrics_port", "0".to_owned()),
            ("faas_nats_address", "127.0.0.1".to_owned()),
            ("faas_nats_port", nats.address.port().to_string()),
        ]);
        let platform = Self {
            _provider: started,
            _gateway: gateway,
            nats,
            public,
            http: Client::new(),
        };
        until("the gateway", async || {
            let asked = platform.http.get(platform.url("/healthz")).send().await;
            asked.is_ok_and(|answer| answer.status() == StatusCode::OK)
        })
        .await;
        platform
    }

    fn worker(&self) -> Process {
        Process::worker(&[
            ("nats_host", "127.0.0.1".to_owned()),
            ("nats_port", self.nats.address.port().to_string()),
            ("gateway_url", format!("http://{}", self.public.0)),
            ("metrics_port", "0".to_owned()),
        ])
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.public.0)
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(self.url(path)).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default()
    }

    /// Deploys `f`, which may sleep, and waits until it does.
    async fn deploy_asleep(&self, process: &str, labels: Value) {
        let deployment =
            json!({"service": "f", "image": "none", "envProcess": process, "labels": labels});
        let request = self.http.post(self.url("/system/functions"));
        let answer = request.json(&deployment).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        until("f to be there", async || self.replicas().await > Some(0)).await;
        until("f to sleep", async || self.replicas().await == Some(0)).await;
    }

    async fn replicas(&self) -> Option<u64> {
        self.get("/system/function/f").await["replicas"].as_u64()
    }

    async fn post(&self) -> String {
        let request = self.http.post(self.url("/async-function/f"));
        let answer = request.body("x").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        answer.headers()["x-invocation-id"]
            .to_str()
            .unwrap()
            .to_owned()
    }

    async fn state(&self, id: &str) -> Value {
        self.get(&format!("/async-function/{id}")).await
    }

    /// Changes of the number of replicas since `began`, until there are none and nothing waits.
    async fn changes(&self, began: Instant) -> Vec<(Duration, u64)> {
        let mut changes: Vec<(Duration, u64)> = Vec::new();
        until("f to sleep again", async || {
            let Some(now) = self.replicas().await else {
                return false;
            };
            if changes.last().is_none_or(|(_, last)| *last != now) {
                changes.push((began.elapsed(), now));
            }
            changes.len() > 1 && now == 0
        })
        .await;
        changes
    }

    /// Until all calls have ended, after `began`.
    async fn all_end(&self, began: Instant) -> Duration {
        until("all calls to end", async || {
            let books = self.get("/system/queues").await["books"].clone();
            books["waiting"] == 0 && books["running"] == 0 && books["accepted"] != 0
        })
        .await;
        began.elapsed()
    }
}

/// Scenario 10.8 of the specification.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_calls_of_five_seconds_get_ten_replicas_and_leave_none() {
    const CALLS: usize = 30;
    const ZERO_AFTER: Duration = Duration::from_secs(6);
    let platform = Platform::start().await;
    let labels = json!({
        "com.openfaas.scale.type": "queue",
        "com.openfaas.scale.target": "1",
        "com.openfaas.scale.target-proportion": "1",
        "com.openfaas.scale.max": "10",
        "com.openfaas.max_inflight": "1",
        "com.openfaas.scale.zero": "true",
        "com.openfaas.scale.zero-duration": "6s",
    });
    platform.deploy_asleep("sleep 5", labels).await;
    let _worker = platform.worker();
    let began = Instant::now();
    let ids = join_all((0..CALLS).map(|_| platform.post())).await;
    let (changes, done) = tokio::join!(platform.changes(began), platform.all_end(began));
    let at = |replicas: u64| {
        changes
            .iter()
            .find(|(_, now)| *now == replicas)
            .map(|(at, _)| *at)
    };
    let ten = at(10).unwrap_or_else(|| panic!("{changes:?}"));
    let asleep = changes[changes.len() - 1].0;
    println!("             expected    measured");
    println!("10 replicas  <= 2 s      {ten:.1?}");
    println!("all done     ~ 16 s      {done:.1?}");
    // Half of them go at each tick; idle it is from the last change on.
    println!("0 replicas   ~ 29 s      {asleep:.1?}");
    println!("{changes:.1?}");
    // A tick of two seconds, and what a busy machine adds.
    assert!(ten < Duration::from_secs(4), "{ten:?}");
    assert!(done < Duration::from_secs(25), "{done:?}");
    assert!(
        asleep >= done.saturating_sub(Duration::from_secs(1)) + ZERO_AFTER,
        "{asleep:?}"
    );
    let grows = changes.iter().position(|(_, now)| *now == 10).unwrap();
    assert!(
        changes[grows..].is_sorted_by(|one, next| one.1 > next.1),
        "{changes:?}"
    );
    for id in &ids {
        let status = platform.state(id).await;
        assert_eq!(
            (&status["state"], &status["failures"]),
            (&json!("succeeded"), &json!(0)),
            "{status}"
        );
    }
}

/// Scenario D8: what waits for a function at zero wakes it, and keeps it awake.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_in_the_queue_wakes_a_function_and_keeps_it_awake_until_it_is_made() {
    let platform = Platform::start().await;
    let labels = json!({
        "com.openfaas.scale.type": "queue",
        "com.openfaas.scale.zero": "true",
        "com.openfaas.scale.zero-duration": "1s",
    });
    platform.deploy_asleep("cat", labels).await;
    let posted = Instant::now();
    let id = platform.post().await;
    until("f to be asked for", async || {
        platform.replicas().await == Some(1)
    })
    .await;
    let woken = posted.elapsed();
    // Nobody makes it.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(platform.replicas().await, Some(1));
    let _worker = platform.worker();
    until("the call to end", async || {
        platform.state(&id).await["state"] == "succeeded"
    })
    .await;
    let made = posted.elapsed();
    until("f to sleep", async || platform.replicas().await == Some(0)).await;
    println!("            expected    measured");
    println!("woken       at once     {woken:.2?}");
    println!("made        > 6 s       {made:.1?}");
    println!("0 replicas  ~ {made:.0?} + 2 s   {:.1?}", posted.elapsed());
    assert!(woken < Duration::from_millis(1500), "{woken:?}");
}
