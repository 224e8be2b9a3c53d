//! Asynchronous calls through the whole stack, and what a killed one owes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::endings::readable;
use crate::soak::long_or;
use crate::support::{Local, soon, until};

/// Sends its input, a line, to the ledger, and answers when the ledger has it.
const WRITER: &str = "import socket, sys\n\
    ledger = socket.create_connection(('127.0.0.1', PORT))\n\
    ledger.sendall(sys.stdin.buffer.readline())\n\
    sys.stdout.write(ledger.recv(100).decode())\n";

/// A file outside of the system, where nothing of it can lose anything: every line is on the disk before its writer hears
/// so. (Functions see the machine read-only, and cannot write it themselves.)
struct Ledger {
    file: tempfile::NamedTempFile,
    port: u16,
}

impl Ledger {
    fn start() -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut lines = file.reopen().unwrap();
        // It ends with the test's process.
        std::thread::spawn(move || {
            for writer in listener.incoming().map_while(Result::ok) {
                // A writer that was killed in between sends nothing, or does not wait.
                let _ = note(writer, &mut lines);
            }
        });
        Self { file, port }
    }

    /// How often each line was written.
    fn lines(&self) -> BTreeMap<String, u64> {
        let mut times = BTreeMap::new();
        for line in std::fs::read_to_string(self.file.path()).unwrap().lines() {
            *times.entry(line.to_owned()).or_default() += 1;
        }
        times
    }
}

fn note(mut writer: TcpStream, lines: &mut File) -> std::io::Result<()> {
    let mut line = String::new();
    BufReader::new(&writer).read_line(&mut line)?;
    if line.ends_with('\n') {
        lines.write_all(line.as_bytes())?;
        lines.sync_data()?;
        writer.write_all(b"written")?;
    }
    Ok(())
}

/// Whether a call was accepted.
async fn accept(local: &Local, path: &str, body: String) -> bool {
    let request = local.request(Method::POST, path).body(body);
    let answer = request.send().await;
    answer.is_ok_and(|answer| answer.status() == StatusCode::ACCEPTED)
}

async fn state(local: &Local, id: &str) -> Value {
    local.json(&format!("/async-function/{id}")).await
}

#[tokio::test]
async fn a_call_is_accepted_made_and_told_of() {
    let local = Local::start().await;
    local.deploy("count", "wc -c").await;
    let request = local.request(Method::POST, "/async-function/count/a%2Fb?x=1");
    let response = request.header("x-async-result", "keep").body("hello");
    let response = soon("the 202", response.send()).await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let id = response.headers()["x-invocation-id"].to_str().unwrap();
    until("the call to end", async || {
        state(&local, id).await["state"] == "succeeded"
    })
    .await;
    let result = state(&local, id).await["result"].clone();
    assert_eq!(
        (&result["status"], &result["body"]),
        (&json!(200), &json!("5\n"))
    );
    let page = reqwest::get(&local.metrics)
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(page.contains("queue_worker_messages_processed_total{queue_name=\"faas-request\"} 1"));
    assert!(page.contains(
        "gateway_function_invocation_total{code=\"200\",function_name=\"count.openfaas-fn\"} 1"
    ));
}

#[tokio::test]
async fn a_function_called_back_is_a_function_too() {
    let local = Local::start().await;
    local.deploy("count", "wc -c").await;
    local.deploy("sink", "cat").await;
    local.available("sink", 1).await;
    let back = format!("{}/function/sink", local.url);
    let request = local.request(Method::POST, "/async-function/count");
    let request = request.header("x-callback-url", back).body("hello");
    assert_eq!(soon("the 202", request.send()).await.unwrap().status(), 202);
    until("the callback", async || {
        local.json("/system/function/sink").await["invocationCount"] == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_no_call_that_was_accepted() {
    let rounds = long_or(30, 3);
    let enough = long_or(10_000, 240) / rounds;
    let home = Arc::new(tempfile::tempdir().unwrap());
    let ledger = Ledger::start();
    let mut accepted: Vec<String> = Vec::new();
    for round in 0..rounds {
        let mut local = Local::in_home(Arc::clone(&home), &[("initial_retry_wait", "1s")]).await;
        if round == 0 {
            deploy_ledger(&local, &ledger).await;
        }
        accepted.extend(until_killed(&mut local, round, enough).await);
    }
    assert!(accepted.len() as u64 >= enough * rounds);

    let local = Local::in_home(Arc::clone(&home), &[("initial_retry_wait", "1s")]).await;
    let books = settled(&local).await;
    assert_eq!(
        (&books["drift"], &books["dead"]),
        (&json!(0), &json!(0)),
        "{books}"
    );
    assert!(books["accepted"].as_u64().unwrap() >= accepted.len() as u64);
    let times = ledger.lines();
    let missing: Vec<_> = accepted
        .iter()
        .filter(|line| !times.contains_key(*line))
        .collect();
    assert!(missing.is_empty(), "accepted and never made: {missing:?}");
    let twice = times.values().filter(|times| **times > 1).count();
    eprintln!(
        "{} accepted, {rounds} kills, {twice} made more than once",
        accepted.len()
    );
}

async fn deploy_ledger(local: &Local, ledger: &Ledger) {
    let script = local.home.path().join("functions/ledger.py");
    std::fs::write(script, WRITER.replace("PORT", &ledger.port.to_string())).unwrap();
    readable(local);
    local.deploy("ledger", "python3 ledger.py").await;
    local.available("ledger", 1).await;
    assert_eq!(
        local.call("ledger", "it works\n").await,
        (StatusCode::OK, "written".into())
    );
}

/// Calls from eight callers at once; when so many were accepted, the platform is killed in the middle of the others. The
/// lines whose calls were accepted.
async fn until_killed(local: &mut Local, round: u64, enough: u64) -> Vec<String> {
    let count = AtomicU64::new(0);
    let killed = AtomicBool::new(false);
    let accepted = {
        let (local, count, killed) = (&*local, &count, &killed);
        let caller = |caller: u64| async move {
            let mut accepted = Vec::new();
            while !killed.load(Ordering::Relaxed) {
                let line = format!("{round}-{caller}-{}", accepted.len());
                if accept(local, "/async-function/ledger", format!("{line}\n")).await {
                    accepted.push(line);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
            accepted
        };
        let killing = async {
            let many = async || count.load(Ordering::Relaxed) >= enough;
            until("calls to be accepted", many).await;
            local.signal(Signal::SIGKILL);
            killed.store(true, Ordering::Relaxed);
        };
        let (accepted, ()) = tokio::join!(join_all((0..8).map(caller)), killing);
        accepted.concat()
    };
    local.ended().await;
    accepted
}

/// The books, once nothing waits or runs any more.
async fn settled(local: &Local) -> Value {
    let books = async || local.json("/system/queues").await["books"].clone();
    tokio::time::timeout(Duration::from_secs(600), async {
        loop {
            let now = books().await;
            if now["waiting"] == 0 && now["running"] == 0 {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("calls wait for ever")
}
