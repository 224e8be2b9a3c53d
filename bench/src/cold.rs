//! Cold starts through faas-local: from a call to a function at zero to its answer, beside a bare spawn of the same program.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::ensure;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::sleep;

use crate::local::{Stack, println_line};
use crate::process::{load, until_ok};

const RUNS: usize = 5;
const STARTS: usize = 50;
/// Longest wait for a function to be at zero.
const PATIENCE: Duration = Duration::from_secs(30);
/// A shell function: one that answers with its body.
const SHELL: [&str; 3] = ["sh", "-c", "cat"];

pub(crate) async fn measure(programs: &Path) -> anyhow::Result<()> {
    println_line(&format!("load average before: {}", load()));
    let stack = Stack::with(programs, &[])?;
    until_ok(&format!("{}/healthz", stack.url)).await?;
    let bench = Bench {
        stack,
        client: Client::builder().no_proxy().build()?,
    };
    for (what, name, keeps) in [
        ("cold start of a shell function", "ended", false),
        ("the same, paused at zero", "paused", true),
    ] {
        bench.deploy(name, keeps).await?;
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            runs.push(bench.run(name, keeps).await?);
        }
        println_line(&told(what, &runs));
    }
    println_line(&format!("load average after: {}", load()));
    Ok(())
}

/// The times of one run, sorted: of calls, and of bare spawns between them.
struct Run {
    calls: Vec<Duration>,
    spawns: Vec<Duration>,
}

fn told(what: &str, runs: &[Run]) -> String {
    let of = |times: fn(&Run) -> &Vec<Duration>, percent: usize| {
        let mut each: Vec<Duration> = runs
            .iter()
            .map(|run| times(run)[(STARTS * percent).div_ceil(100) - 1])
            .collect();
        each.sort();
        each[each.len() / 2].as_secs_f64() * 1000.0
    };
    format!(
        "{what}: p50 {:.1} ms, p99 {:.1} ms; a bare spawn of it: p50 {:.1} ms, p99 {:.1} ms (medians of {RUNS} runs of {STARTS})",
        of(|run| &run.calls, 50),
        of(|run| &run.calls, 99),
        of(|run| &run.spawns, 50),
        of(|run| &run.spawns, 99),
    )
}

struct Bench {
    stack: Stack,
    client: Client,
}

impl Bench {
    async fn deploy(&self, name: &str, keeps: bool) -> anyhow::Result<()> {
        let labels = json!({"com.openfaas.scale.zero-pause": keeps.to_string()});
        let body = json!({"service": name, "image": "bench", "envProcess": SHELL.join(" "), "labels": labels});
        self.post("/system/functions", &body, 202).await?;
        self.call(name).await.map(drop)
    }

    async fn run(&self, name: &str, keeps: bool) -> anyhow::Result<Run> {
        let (mut calls, mut spawns) = (Vec::new(), Vec::new());
        for _ in 0..STARTS {
            self.to_zero(name, keeps).await?;
            calls.push(self.call(name).await?);
            spawns.push(spawn().await?);
        }
        calls.sort();
        spawns.sort();
        Ok(Run { calls, spawns })
    }

    /// A call, from its request to the end of its answer.
    async fn call(&self, name: &str) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let path = format!("/function/{name}");
        self.post(&path, &json!("x"), 200).await?;
        Ok(began.elapsed())
    }

    /// Takes a function to zero, and waits until its processes have ended, or are stopped.
    async fn to_zero(&self, name: &str, keeps: bool) -> anyhow::Result<()> {
        let path = format!("/system/scale-function/{name}");
        let body = json!({"serviceName": name, "replicas": 0});
        self.post(&path, &body, 202).await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let states = states(self.stack.process.pid());
            let stopped = states.iter().filter(|state| **state == 'T').count();
            let rests = if keeps {
                stopped > 0
            } else {
                states.is_empty()
            };
            if rests {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{name} does not rest: {states:?}"
            );
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn post(&self, path: &str, body: &Value, status: u16) -> anyhow::Result<()> {
        let url = format!("{}{path}", self.stack.url);
        let answer = self.client.post(url).json(body).send().await?;
        let found = answer.status();
        let words = answer.text().await?;
        ensure!(found == status, "{path}: {found} {words}");
        Ok(())
    }
}

/// The program itself, started, given its input and waited for.
async fn spawn() -> anyhow::Result<Duration> {
    let [program, arguments @ ..] = SHELL;
    let began = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(b"\"x\"").await?;
    }
    let output = child.wait_with_output().await?;
    ensure!(output.stdout == b"\"x\"", "the program answers otherwise");
    Ok(began.elapsed())
}

/// What every process below this one does, as proc_pid_stat(5) has it.
fn states(root: u32) -> Vec<char> {
    let mut children: HashMap<u32, Vec<(u32, char)>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let mut fields = fields.split_ascii_whitespace();
        let state = fields.next().and_then(|state| state.chars().next());
        let parent = fields.next().and_then(|parent| parent.parse().ok());
        if let (Some(state), Some(parent)) = (state, parent) {
            children.entry(parent).or_default().push((pid, state));
        }
    }
    let mut found = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for (pid, state) in children.remove(&parent).unwrap_or_default() {
            found.push(state);
            parents.push(pid);
        }
    }
    found
}
