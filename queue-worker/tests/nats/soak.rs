//! The long run: every program as it is shipped, before a function that writes down what it ran, and one after the other is
//! killed at random. Short here; as long as written with `SOAK=1`.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::ledger::Ledger;
use crate::processes::Process;
use crate::server::Server;
use crate::stack::Port;
use crate::{long_or, until};

/// Sends the call's id to the ledger, and answers when the ledger has it.
const FUNCTION: &str = r#"
import http.server, socket, sys, threading

own = threading.local()

def note(line):
    if not hasattr(own, "ledger"):
        own.ledger = socket.create_connection(("127.0.0.1", LEDGER)).makefile("rw", newline="\n")
    own.ledger.write(line + "\n")
    own.ledger.flush()
    return own.ledger.readline()

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        said = note(self.headers["X-Invocation-Id"] or "none").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        pass

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256

Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

const CALLERS: usize = 8;

/// The programs.
struct Platform {
    nats: Server,
    _provider: Process,
    gateway: Process,
    worker: Process,
    public: Port,
    provider_port: Port,
    http: Client,
    _functions: TempDir,
}

impl Platform {
    async fn start(ledger: &Ledger) -> Self {
        let functions = tempfile::tempdir().unwrap();
        let script = functions.path().join("ledger.py");
        std::fs::write(
            &script,
            FUNCTION.replace("LEDGER", &ledger.port.to_string()),
        )
        .unwrap();
        for path in [functions.path(), &script] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let nats = Server::start().await;
        let (public, provider_port) = (Port::reserved(), Port::reserved());
        let provider = Process::of_workspace(
            "provider-memory",
            &[
                ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
                ("port", provider_port.text()),
                ("functions_dir", functions.path().display().to_string()),
            ],
        );
        let gateway = gateway(&nats, &public, &provider_port);
        let worker = worker(&nats, &public);
        let platform = Self {
            nats,
            _provider: provider,
            gateway,
            worker,
            public,
            provider_port,
            http: Client::new(),
            _functions: functions,
        };
        platform.deploy().await;
        platform
    }

    async fn deploy(&self) {
        let deployment = json!({
            "service": "ledger",
            "image": "ledger",
            "envProcess": "python3 ledger.py $PORT",
            "envVars": {"mode": "http", "upstream_url": "http://127.0.0.1:$PORT"},
        });
        until("the deployment", async || {
            let request = self.http.post(self.url("/system/functions"));
            let answer = request.body(deployment.to_string()).send().await;
            answer.is_ok_and(|answer| answer.status() == StatusCode::ACCEPTED)
        })
        .await;
        until("the function", async || {
            let request = self.http.post(self.url("/function/ledger")).body("a body");
            let answer = request.send().await;
            answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
        })
        .await;
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.public.0)
    }

    /// Kills one of them, and starts it again.
    async fn kill(&mut self, which: usize) {
        match which {
            0 => {
                self.worker.kill();
                self.worker = worker(&self.nats, &self.public);
            }
            1 => {
                self.gateway.kill();
                self.gateway = gateway(&self.nats, &self.public, &self.provider_port);
            }
            _ => {
                self.nats.kill();
                sleep(Duration::from_millis(fastrand::u64(..1000))).await;
                self.nats.begin().await;
            }
        }
    }

    /// The books, once nothing waits or runs any more.
    async fn settled(&self) -> Value {
        let settling = async {
            loop {
                if let Some(books) = self.books().await
                    && books["waiting"] == 0
                    && books["running"] == 0
                {
                    return books;
                }
                sleep(Duration::from_millis(200)).await;
            }
        };
        let patience = Duration::from_secs(long_or(3600, 60));
        timeout(patience, settling)
            .await
            .expect("calls wait for ever")
    }

    async fn books(&self) -> Option<Value> {
        let answer = self
            .http
            .get(self.url("/system/queues"))
            .send()
            .await
            .ok()?;
        let said: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
        Some(said["books"].clone())
    }
}

fn gateway(nats: &Server, public: &Port, provider: &Port) -> Process {
    let variables = [
        ("functions_provider_url", format!("http://{}/", provider.0)),
        ("port", public.text()),
        ("metrics_port", "0".to_owned()),
        ("faas_nats_address", "127.0.0.1".to_owned()),
        ("faas_nats_port", nats.address.port().to_string()),
    ];
    Process::of_workspace("gateway", &variables)
}

fn worker(nats: &Server, gateway: &Port) -> Process {
    Process::worker(&[
        ("nats_host", "127.0.0.1".to_owned()),
        ("nats_port", nats.address.port().to_string()),
        ("gateway_url", format!("http://{}", gateway.0)),
        ("ack_wait", "5s".to_owned()),
        ("initial_retry_wait", "500ms".to_owned()),
        ("metrics_port", "0".to_owned()),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_every_accepted_call_is_in_the_ledger() {
    let calls = usize::try_from(long_or(100_000, 400)).unwrap();
    let kills = usize::try_from(long_or(36, 4)).unwrap();
    let ledger = Ledger::start();
    let mut platform = Platform::start(&ledger).await;
    let (count, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let began = Instant::now();
    let (http, url) = (Client::new(), platform.url("/async-function/ledger"));
    let callers = join_all((0..CALLERS).map(|_| call_until(&http, &url, &count, &stop)));
    let mut killed = [0; 3];
    let killing = async {
        let made = || ledger.count();
        let accepted = || count.load(Ordering::Relaxed);
        let half = kills / 2;
        for kill in 0..kills {
            // One half while calls come in, the other while they are made; each program, and then whichever.
            match kill.checked_sub(half) {
                None => reached(accepted, calls * (kill + 1) / (half + 1)).await,
                Some(later) => reached(made, calls * (later + 1) / (kills - half + 1)).await,
            }
            let which = match kill < 3 {
                true => kill,
                false => fastrand::usize(..3),
            };
            platform.kill(which).await;
            killed[which] += 1;
            if kill + 1 == half {
                reached(accepted, calls).await;
                stop.store(true, Ordering::Relaxed);
            }
        }
    };
    let (accepted, ()) = tokio::join!(callers, killing);
    let accepted = accepted.concat();
    let posted = began.elapsed();
    let books = platform.settled().await;

    let times = ledger.lines();
    let lost: Vec<_> = accepted
        .iter()
        .filter(|id| !times.contains_key(*id))
        .collect();
    let twice = accepted
        .iter()
        .filter(|id| times.get(*id) > Some(&1))
        .count();
    println!(
        "{} accepted in {posted:?}, all made after {:?}; killed (worker, gateway, NATS): {killed:?}; {} lost, {twice} made \
         more than once; {books}",
        accepted.len(),
        began.elapsed(),
        lost.len(),
    );
    assert!(lost.is_empty(), "accepted and never made: {lost:?}");
    assert!(accepted.len() >= calls);
    assert_eq!((&books["drift"], &books["dead"]), (&json!(0), &json!(0)));
    assert_eq!(books["succeeded"], books["accepted"], "{books}");
    // A call may be accepted whose caller does not hear of it.
    let most = u64::try_from(accepted.len() + kills * CALLERS).unwrap();
    let counted = books["accepted"].as_u64().unwrap();
    assert!((accepted.len() as u64..=most).contains(&counted), "{books}");
}

/// Waits until there are so many.
async fn reached(count: impl Fn() -> usize, enough: usize) {
    let patience = Duration::from_secs(long_or(3600, 60));
    let waiting = async {
        while count() < enough {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(patience, waiting).await.expect("calls stand still");
}

/// Posts one call after the other; the ids of those that were accepted.
async fn call_until(
    http: &Client,
    url: &str,
    count: &AtomicUsize,
    stop: &AtomicBool,
) -> Vec<String> {
    let mut accepted = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        match http.post(url).body("a body").send().await {
            Ok(answer) if answer.status() == StatusCode::ACCEPTED => {
                let id = answer.headers()["x-invocation-id"].to_str().unwrap();
                accepted.push(id.to_owned());
                count.fetch_add(1, Ordering::Relaxed);
            }
            _ => sleep(Duration::from_millis(20)).await,
        }
    }
    accepted
}
