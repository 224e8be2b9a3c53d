//! Asynchronous calls on NATS: how fast they are stored and made, how soon an idle platform makes one, what waiting ones
//! weigh. Every program is a process of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_nats::HeaderMap;
use async_nats::jetstream::{self, Context};
use bytes::Bytes;
use faas_queue::nats::{Login, Settings};
use faas_queue::{Nats, format};
use futures_util::future::try_join_all;
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::later::{CALLERS, Platform, STORED, accept_all, call, rate};
use crate::local::println_line;
use crate::process::{Process, free_port, load, until_ok};

/// Where the bare client puts its messages: beside ours.
const SUBJECT: &str = "openfaas.queue.faas-request.openfaas-fn.bare";

pub(crate) async fn measure(programs: &Path) -> anyhow::Result<()> {
    println_line(&format!("load average before: {}", load()));
    stored().await?;
    let programs = programs.canonicalize()?;
    let stack = Stack::start(&programs)?;
    until_ok(&format!("{}/healthz", stack.url)).await?;
    let platform = Platform::at(&stack.url)?;
    let bench = programs.join("faas-bench");
    platform
        .deploy(&format!("{} upstream $PORT", bench.display()))
        .await?;
    platform.idle().await?;
    // What was stored before a worker's connection was made, or soon after, it looks up first: a server may have been
    // killed then.
    sleep(Duration::from_secs(6)).await;
    stack.worker.signal(Signal::SIGSTOP)?;
    platform.queued(None).await?;
    stack.worker.signal(Signal::SIGCONT)?;
    platform.drained(Instant::now()).await?;
    let weighed = [("gateway", &stack.gateway), ("queue-worker", &stack.worker)];
    platform.waiting(&weighed).await?;
    println_line(&format!("load average after: {}", load()));
    Ok(())
}

/// The queue alone, in turn with the client alone, which has the same bytes acknowledged.
async fn stored() -> anyhow::Result<()> {
    let (mut ours, mut bare) = (0.0, 0.0);
    for _ in 0..3 {
        let server = Server::start()?;
        let queue = Arc::new(server.queue().await?);
        ours += rate(STORED, accept_all(queue).await?) / 3.0;
        bare += rate(STORED, publish_all(&server).await?) / 3.0;
    }
    println_line(&format!(
        "stored on NATS by {CALLERS} callers at once: {ours:.0} calls/s, the client alone: {bare:.0} messages/s ({:.0} %)",
        ours / bare * 100.0
    ));
    Ok(())
}

async fn publish_all(server: &Server) -> anyhow::Result<Duration> {
    let jetstream = jetstream::new(async_nats::connect(&server.address).await?);
    let envelope = format::encode_call(&call().call);
    let mut headers = HeaderMap::new();
    for (name, value) in &envelope.headers {
        headers.append(name.as_str(), value.as_str());
    }
    let message = Arc::new((headers, envelope.payload));
    let began = Instant::now();
    let caller = |_| {
        let (jetstream, message) = (jetstream.clone(), Arc::clone(&message));
        tokio::spawn(async move { publish_some(&jetstream, &message.0, &message.1).await })
    };
    for ended in try_join_all((0..CALLERS).map(caller)).await? {
        ended?;
    }
    Ok(began.elapsed())
}

async fn publish_some(
    jetstream: &Context,
    headers: &HeaderMap,
    payload: &Bytes,
) -> anyhow::Result<()> {
    for _ in 0..STORED / CALLERS {
        let (headers, payload) = (headers.clone(), payload.clone());
        let sent = jetstream.publish_with_headers(SUBJECT, headers, payload);
        sent.await?.await?;
    }
    Ok(())
}

/// NATS, with a store of its own.
struct Server {
    address: String,
    port: u16,
    _process: Process,
    _store: TempDir,
}

impl Server {
    fn start() -> anyhow::Result<Self> {
        let (port, store) = (free_port()?, tempfile::tempdir()?);
        let directory = store.path().to_str().context("an odd directory")?;
        let listens = port.to_string();
        let arguments = ["-js", "-a", "127.0.0.1", "-p", &listens, "-sd", directory];
        Ok(Self {
            address: format!("127.0.0.1:{port}"),
            port,
            _process: Process::start(Path::new("nats-server"), &arguments, &[])?,
            _store: store,
        })
    }

    async fn queue(&self) -> anyhow::Result<Nats> {
        let settings = Settings {
            servers: self.address.clone(),
            login: Login::None,
            authorities: None,
            queue: "faas-request".to_owned(),
            replicas: 1,
            most_calls: 1_000_000,
            most_calls_of_a_function: 200_000,
            result_ttl: Duration::from_secs(3600),
            lease: Settings::LEASE,
        };
        Ok(Nats::connect(settings).await?)
    }
}

/// Every program of the platform.
struct Stack {
    url: String,
    gateway: Process,
    worker: Process,
    _provider: Process,
    _server: Server,
}

impl Stack {
    fn start(programs: &Path) -> anyhow::Result<Self> {
        let server = Server::start()?;
        let (public, provider, metrics) = (free_port()?, free_port()?, free_port()?);
        let functions = [
            ("port", provider.to_string()),
            ("functions_dir", programs.display().to_string()),
        ];
        let calls = [
            (
                "functions_provider_url",
                format!("http://127.0.0.1:{provider}/"),
            ),
            ("port", public.to_string()),
            ("metrics_port", metrics.to_string()),
            ("faas_nats_address", "127.0.0.1".to_owned()),
            ("faas_nats_port", server.port.to_string()),
        ];
        let queued = [
            ("nats_host", "127.0.0.1".to_owned()),
            ("nats_port", server.port.to_string()),
            ("gateway_url", format!("http://127.0.0.1:{public}")),
            ("metrics_port", free_port()?.to_string()),
        ];
        let start = |name: &str, variables: &[(&str, String)]| {
            Process::start(&programs.join(name), &[], variables)
        };
        Ok(Self {
            url: format!("http://127.0.0.1:{public}"),
            _provider: start("provider-memory", &functions)?.gently(),
            gateway: start("gateway", &calls)?,
            worker: start("queue-worker", &queued)?,
            _server: server,
        })
    }
}
