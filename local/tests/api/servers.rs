//! Functions that are servers (mode http), under load while their processes are killed, updated, scaled and deleted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::endings::{mark, readable};
use crate::processes::{marked, that_run, zombies};
use crate::soak::{CALLERS, Held, long_or};
use crate::support::{Local, soon, until};

/// Sends back what it gets, after a moment; now and then after one that is longer than calls are given to arrive at a
/// replica that is going.
const SERVER: &str = r#"
import http.server, sys, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(0.6 if body.endswith(b"7") else 0.02)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256

Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

fn deployment(mark: &str, version: u64) -> Value {
    json!({
        "service": "server",
        "image": format!("server:{version}"),
        "envProcess": "python3 server.py $PORT",
        "envVars": {"mode": "http", "upstream_url": "http://127.0.0.1:$PORT", "mark": mark},
    })
}

async fn deploy(local: &Local, mark: &str) {
    std::fs::write(local.home.path().join("functions/server.py"), SERVER).unwrap();
    readable(local);
    let (status, words) = local
        .send(Method::POST, "/system/functions", deployment(mark, 0))
        .await;
    assert_eq!(status, StatusCode::ACCEPTED, "{words}");
    local.available("server", 1).await;
}

/// Callers in a loop, and what became of their calls.
struct Load {
    callers: Vec<JoinHandle<()>>,
    tally: Arc<Tally>,
}

#[derive(Default)]
struct Tally {
    stop: AtomicBool,
    /// Answered with what was sent.
    whole: AtomicU64,
    /// Told by a hop that the call failed.
    told: AtomicU64,
    /// The answer, or the connection, broke off.
    broken: AtomicU64,
    /// There is no such function, or no replica of it.
    refused: AtomicU64,
}

impl Load {
    fn start(local: &Arc<Local>) -> Self {
        let tally = Arc::new(Tally::default());
        let callers = (0..CALLERS).map(|caller| {
            let (local, tally) = (Arc::clone(local), Arc::clone(&tally));
            tokio::spawn(async move {
                let mut call = 0;
                while !tally.stop.load(Ordering::SeqCst) {
                    call += 1;
                    tally
                        .count(&local, format!("caller {caller} call {call}"))
                        .await;
                }
            })
        });
        Self {
            callers: callers.collect(),
            tally,
        }
    }

    /// Waits for so many more whole answers.
    async fn more(&self, count: u64) {
        let enough = self.tally.whole.load(Ordering::SeqCst) + count;
        until("more whole answers", async || {
            self.callers.iter().any(JoinHandle::is_finished)
                || self.tally.whole.load(Ordering::SeqCst) >= enough
        })
        .await;
    }

    /// Ends it; fails if any answer looked whole and was not.
    async fn end(self) -> [u64; 4] {
        self.tally.stop.store(true, Ordering::SeqCst);
        for caller in soon("all calls to end", join_all(self.callers)).await {
            caller.unwrap();
        }
        let tally = &self.tally;
        [&tally.whole, &tally.told, &tally.broken, &tally.refused]
            .map(|count| count.load(Ordering::SeqCst))
    }
}

impl Tally {
    async fn count(&self, local: &Local, body: String) {
        let request = local.request(Method::POST, "/function/server");
        let count = match request.body(body.clone()).send().await {
            Err(_) => &self.broken,
            Ok(answer) => {
                let status = answer.status();
                let internal = answer.headers().contains_key("x-openfaas-internal");
                match (status.as_u16(), answer.text().await) {
                    (_, Err(_)) => &self.broken,
                    (200, Ok(text)) => {
                        assert_eq!(text, body, "an answer that looks whole and is not");
                        &self.whole
                    }
                    (404 | 503, Ok(words)) => {
                        assert!(internal && !words.is_empty(), "{status}: {words}");
                        // Not in a tight loop.
                        sleep(Duration::from_millis(5)).await;
                        &self.refused
                    }
                    (500 | 502, Ok(_)) if internal => &self.told,
                    (_, Ok(words)) => panic!("{status}: {words}"),
                }
            }
        };
        count.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_under_load_fails_aloud_and_is_replaced() {
    let local = Arc::new(Local::start().await);
    let mark = mark();
    deploy(&local, &mark).await;
    let load = Load::start(&local);
    load.more(200).await;
    let before = Held::by(&local);

    for _ in 0..long_or(20, 2) {
        let [server] = that_run(&mark, "server.py")[..] else {
            panic!("one server runs")
        };
        kill(Pid::from_raw(server), Signal::SIGKILL).unwrap();
        until("another server", async || {
            that_run(&mark, "server.py")
                .iter()
                .any(|pid| *pid != server)
        })
        .await;
        load.more(200).await;
        // Long enough for the replica not to count as one that fails to start.
        sleep(Duration::from_secs(long_or(11, 0))).await;
    }

    let [whole, told, broken, _] = load.end().await;
    assert!(whole > 600 && told + broken > 0, "{whole} {told} {broken}");
    until("no zombie and nothing more than before", async || {
        let now = Held::by(&local);
        zombies(local.pid()).is_empty()
            && now.processes <= before.processes
            && now.descriptors <= before.descriptors + CALLERS
    })
    .await;
    eprintln!("{whole} answered, {told} told that they failed, {broken} broken off");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_of_a_server_fails_while_it_is_updated_scaled_and_deleted() {
    let local = Arc::new(Local::start().await);
    let mark = mark();
    deploy(&local, &mark).await;
    let load = Load::start(&local);
    for version in 1..=long_or(20, 2) {
        load.more(100).await;
        let updated = local
            .send(Method::PUT, "/system/functions", deployment(&mark, version))
            .await;
        assert_eq!(updated.0, StatusCode::ACCEPTED, "{}", updated.1);
        load.more(100).await;
        local.scale("server", 2).await;
        local.available("server", 2).await;
        load.more(100).await;
        local.scale("server", 1).await;
        load.more(100).await;
    }
    let whole = load.tally.whole.load(Ordering::SeqCst);
    assert_eq!(load.tally.refused.load(Ordering::SeqCst), 0);

    let body = json!({"functionName": "server"});
    let deleted = local.send(Method::DELETE, "/system/functions", body).await;
    assert_eq!(deleted.0, StatusCode::ACCEPTED, "{}", deleted.1);
    until("calls to be refused", async || {
        load.callers.iter().any(JoinHandle::is_finished)
            || load.tally.refused.load(Ordering::SeqCst) > CALLERS
    })
    .await;
    let [all, told, broken, _] = load.end().await;
    assert_eq!(
        (told, broken),
        (0, 0),
        "every call that was taken is answered"
    );
    assert!(all >= whole);
    until("nothing of it to be left", async || {
        marked(&mark).is_empty() && zombies(local.pid()).is_empty()
    })
    .await;
}
