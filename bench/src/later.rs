//! Asynchronous calls: how fast they are stored and made, how soon an idle platform makes one, what waiting ones weigh.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use faas_queue::embedded::Limits;
use faas_queue::{Embedded, InvocationId, NewCall, Queue, QueuedCall};
use futures_util::future::try_join_all;
use redb::TableDefinition;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::local::{Stack, megabytes, println_line};
use crate::process::{Process, load, spread, until_ok};

/// Callers at once where calls are stored.
pub(crate) const CALLERS: u64 = 64;
pub(crate) const STORED: u64 = 20_000;
/// Calls at once where they are made: the worker's own number.
const AT_ONCE: u64 = 50;
const MADE: u64 = 10_000;
/// So much later all of them are due.
const DUE_AFTER: Duration = Duration::from_secs(20);
const IDLE: usize = 101;
const WAITING: u64 = 100_000;
const BODY: &[u8] = &[b'x'; 1024];

pub(crate) async fn measure(programs: &Path) -> anyhow::Result<()> {
    println_line(&format!("load average before: {}", load()));
    stored().await?;
    let programs = programs.canonicalize()?;
    let functions = programs.display().to_string();
    let stack = Stack::with(&programs, &[("functions_dir", functions.clone())])?;
    until_ok(&format!("{}/healthz", stack.url)).await?;
    let platform = Platform::at(&stack.url)?;
    platform
        .deploy(&format!("{functions}/faas-bench upstream $PORT"))
        .await?;
    platform.idle().await?;
    let due = platform.queued_until_due().await?;
    platform.drained(due).await?;
    platform.waiting(&[("faas-local", &stack.process)]).await?;
    println_line(&format!("load average after: {}", load()));
    Ok(())
}

/// The store alone, in turn with a bare loop of synced commits, each of as many bodies as there are callers.
async fn stored() -> anyhow::Result<()> {
    let (mut ours, mut bare) = (0.0, 0.0);
    for _ in 0..3 {
        let directory = tempfile::tempdir()?;
        let queue = Embedded::open(directory.path(), Limits::default())?;
        ours += rate(STORED, accept_all(Arc::new(queue)).await?) / 3.0;
        bare += rate(STORED, tokio::task::block_in_place(commit_all)?) / 3.0;
    }
    println_line(&format!(
        "stored by {CALLERS} callers at once: {ours:.0} calls/s, bare synced commits of {CALLERS}: {bare:.0} bodies/s ({:.0} %)",
        ours / bare * 100.0
    ));
    Ok(())
}

/// How long it takes until as many callers as wanted have their calls accepted.
pub(crate) async fn accept_all(queue: Arc<dyn Queue>) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let caller = |_| {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move {
            for _ in 0..STORED / CALLERS {
                queue.accept(call()).await?;
            }
            Ok::<_, faas_queue::Error>(())
        })
    };
    for ended in try_join_all((0..CALLERS).map(caller)).await? {
        ended?;
    }
    Ok(began.elapsed())
}

pub(crate) fn call() -> NewCall {
    let call = QueuedCall {
        id: InvocationId::new(),
        call_id: "c-1".to_owned(),
        queue: "faas-request".to_owned(),
        function: "f.openfaas-fn".to_owned(),
        called: "f".to_owned(),
        method: "POST".to_owned(),
        host: "gateway".to_owned(),
        path: "/".to_owned(),
        query: None,
        headers: Vec::new(),
        body: Bytes::from_static(BODY),
        callback_url: None,
        keep_result: false,
        accepted_ms: 0,
        annotations: BTreeMap::new(),
    };
    NewCall {
        call,
        delay: Duration::ZERO,
        idempotency: None,
    }
}

fn commit_all() -> anyhow::Result<Duration> {
    const BODIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("bodies");
    let directory = tempfile::tempdir()?;
    let database = redb::Database::create(directory.path().join("bare"))?;
    let began = Instant::now();
    for batch in 0..STORED / CALLERS {
        let transaction = database.begin_write()?;
        {
            let mut bodies = transaction.open_table(BODIES)?;
            for number in 0..CALLERS {
                bodies.insert(batch * CALLERS + number, BODY)?;
            }
        }
        transaction.commit()?;
    }
    Ok(began.elapsed())
}

#[allow(clippy::cast_precision_loss)]
pub(crate) fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

/// A running platform with one function.
pub(crate) struct Platform {
    http: reqwest::Client,
    url: String,
}

impl Platform {
    pub(crate) fn at(url: &str) -> anyhow::Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder().no_proxy().build()?,
            url: url.to_owned(),
        })
    }

    pub(crate) async fn deploy(&self, process: &str) -> anyhow::Result<()> {
        let environment = json!({"mode": "http", "upstream_url": "http://127.0.0.1:$PORT"});
        let body = json!({"service": "quick", "image": "bench", "envProcess": process, "envVars": environment});
        let url = format!("{}/system/functions", self.url);
        let deployed = self.http.post(url).json(&body).send().await?;
        ensure!(
            deployed.status() == 202,
            "deploy answered {}",
            deployed.status()
        );
        until_ok(&format!("{}/function/quick", self.url)).await
    }

    /// From a call's 202 to its end on the disk, on a platform that has nothing else to do.
    pub(crate) async fn idle(&self) -> anyhow::Result<()> {
        let mut times = Vec::new();
        for _ in 0..IDLE {
            let id = self.post(None).await?;
            let url = format!("{}/async-function/{id}", self.url);
            let status = loop {
                let status: Value = self.http.get(&url).send().await?.json().await?;
                if status["state"] == "succeeded" {
                    break status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            };
            let at = |field: &str| {
                let text = status[field].as_str().context("no time")?;
                Ok::<_, anyhow::Error>(OffsetDateTime::parse(text, &Rfc3339)?)
            };
            times.push((at("endedAt")? - at("acceptedAt")?).unsigned_abs());
        }
        println_line(&spread("idle, accepted to settled", times));
        Ok(())
    }

    async fn post(&self, due: Option<&str>) -> anyhow::Result<String> {
        let request = self.http.post(format!("{}/async-function/quick", self.url));
        let request = due
            .into_iter()
            .fold(request, |request, due| request.header("x-delay", due));
        let accepted = request.body(BODY).send().await?;
        ensure!(
            accepted.status() == 202,
            "a call was answered {}",
            accepted.status()
        );
        let id = accepted.headers().get("x-invocation-id").context("no id")?;
        Ok(id.to_str()?.to_owned())
    }

    /// Queues as many calls as are then made one by one, all due at the same moment, which is told.
    async fn queued_until_due(&self) -> anyhow::Result<Instant> {
        let now = OffsetDateTime::now_utc();
        let due = now + DUE_AFTER;
        let begins = Instant::now() + DUE_AFTER;
        let text = due.format(&Rfc3339)?;
        self.queued(Some(&text)).await?;
        ensure!(Instant::now() < begins, "storing them took too long");
        Ok(begins)
    }

    /// Queues them, due now or then.
    pub(crate) async fn queued(&self, due: Option<&str>) -> anyhow::Result<()> {
        self.many(CALLERS, MADE, |_| async { self.post(due).await.map(drop) })
            .await
    }

    /// What was queued is made from this moment on; then it is called one by one by as many callers as the worker has
    /// places.
    pub(crate) async fn drained(&self, since: Instant) -> anyhow::Result<()> {
        loop {
            let books = self.books().await?;
            if books["waiting"] == 0 && books["running"] == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let took = since.elapsed();
        let queued = rate(MADE, took);
        let began = Instant::now();
        let url = format!("{}/function/quick", self.url);
        let call = |_| async {
            let answer = self.http.post(&url).body(BODY).send().await?;
            ensure!(
                answer.status() == 200,
                "a call was answered {}",
                answer.status()
            );
            answer.bytes().await?;
            Ok(())
        };
        self.many(AT_ONCE, MADE, call).await?;
        let called = rate(MADE, began.elapsed());
        println_line(&format!(
            "{MADE} queued calls: {queued:.0}/s, called by {AT_ONCE} at once: {called:.0}/s ({:.0} %)",
            queued / called * 100.0
        ));
        Ok(())
    }

    /// As many calls put off, and what these programs hold then.
    pub(crate) async fn waiting(&self, programs: &[(&str, &Process)]) -> anyhow::Result<()> {
        let began = Instant::now();
        self.many(CALLERS, WAITING, |_| async {
            self.post(Some("1h")).await.map(drop)
        })
        .await?;
        let rate = rate(WAITING, began.elapsed());
        println_line(&format!("{WAITING} calls accepted over HTTP: {rate:.0}/s"));
        for (name, program) in programs {
            let resident = megabytes(program.kilobytes("VmRSS")?);
            println_line(&format!(
                "{name}, resident with all of them waiting: {resident:.1} MB"
            ));
        }
        Ok(())
    }

    async fn books(&self) -> anyhow::Result<Value> {
        let url = format!("{}/system/queues", self.url);
        let told: Value = self.http.get(url).send().await?.json().await?;
        Ok(told["books"].clone())
    }

    /// Does something so many times, `at_once` at a time.
    async fn many<F: Future<Output = anyhow::Result<()>>>(
        &self,
        at_once: u64,
        count: u64,
        act: impl Fn(u64) -> F,
    ) -> anyhow::Result<()> {
        let number = AtomicU64::new(0);
        let (number, act) = (&number, &act);
        let one = |_| async move {
            loop {
                let next = number.fetch_add(1, Ordering::Relaxed);
                if next >= count {
                    return Ok::<_, anyhow::Error>(());
                }
                act(next).await?;
            }
        };
        try_join_all((0..at_once).map(one)).await?;
        Ok(())
    }
}
