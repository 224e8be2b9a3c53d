//! A worker, a queue, and a gateway that does what the test says.

mod stage;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use faas_queue::embedded::Limits;
use faas_queue::{
    CallStatus, DeadFilter, DeadLetter, Embedded, InvocationId, NewCall, Queue, QueuedCall, State,
};
use faas_queue_worker::{Config, Worker};
use prometheus::Registry;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) use stage::{Reply, Stage};

/// Fails a test that waits for something that never comes.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(30), future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    soon(what, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// A queue, a gateway, and perhaps a worker between them.
pub(crate) struct Room {
    pub(crate) stage: Stage,
    pub(crate) queue: Embedded,
    pub(crate) series: Registry,
    pub(crate) directory: TempDir,
    worker: Option<Running>,
}

struct Running {
    stop: oneshot::Sender<()>,
    /// Ends when the worker was told.
    told: oneshot::Receiver<()>,
    task: JoinHandle<()>,
}

impl Room {
    /// Nobody works yet.
    pub(crate) async fn empty() -> Self {
        Self::of(Limits::default()).await
    }

    async fn of(limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            stage: Stage::start().await,
            queue: Embedded::open(directory.path(), limits).unwrap(),
            series: Registry::new(),
            directory,
            worker: None,
        }
    }

    /// With a worker, which is believed dead when nothing was heard of it for so long.
    pub(crate) async fn leasing(lease: Duration) -> Self {
        let mut room = Self::of(Limits {
            lease,
            ..Limits::default()
        })
        .await;
        room.work(|_| ());
        room
    }

    /// With a worker whose settings are quick, and as the test says.
    pub(crate) async fn with(set: impl FnOnce(&mut Config)) -> Self {
        let mut room = Self::empty().await;
        room.work(set);
        room
    }

    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// Starts a worker.
    pub(crate) fn work(&mut self, set: impl FnOnce(&mut Config)) {
        let mut config = Config {
            gateway_url: self.stage.url().parse().unwrap(),
            initial_retry_wait: Duration::from_millis(100),
            max_retry_wait: Duration::from_millis(400),
            ..Config::embedded().unwrap()
        };
        set(&mut config);
        self.series = Registry::new();
        let worker = Worker::new(config, Arc::new(self.queue.clone()), &self.series).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (hears, told) = oneshot::channel();
        let task = tokio::spawn(worker.run(async {
            let _ = stopped.await;
            let _ = hears.send(());
        }));
        self.worker = Some(Running { stop, told, task });
    }

    /// Ends the worker from one moment to the next, as `kill -9` does.
    pub(crate) async fn kill(&mut self) {
        let running = self.worker.take().unwrap();
        running.task.abort();
        assert!(running.task.await.unwrap_err().is_cancelled());
    }

    /// Tells the worker to stop; what it returns ends with the worker.
    pub(crate) async fn stop(&mut self) -> JoinHandle<()> {
        let running = self.worker.take().unwrap();
        drop(running.stop);
        soon("the worker to hear of it", running.told)
            .await
            .unwrap();
        running.task
    }

    /// Accepts a call.
    pub(crate) async fn accept(&self, call: QueuedCall) -> InvocationId {
        let new = NewCall {
            call,
            delay: Duration::ZERO,
            idempotency: None,
        };
        self.queue.accept(new).await.unwrap().id
    }

    /// Accepts a call of a function.
    pub(crate) async fn post(&self, function: &str) -> InvocationId {
        self.accept(call(function)).await
    }

    pub(crate) async fn status(&self, id: InvocationId) -> CallStatus {
        self.queue.status(id).await.unwrap().unwrap()
    }

    /// Waits for the end of a call.
    pub(crate) async fn ended(&self, id: InvocationId) -> CallStatus {
        until("the call to end", async || {
            self.status(id).await.state.is_final()
        })
        .await;
        self.status(id).await
    }

    pub(crate) async fn succeeds(&self, id: InvocationId) {
        let status = self.ended(id).await;
        assert_eq!(status.state, State::Succeeded, "{status:?}");
    }

    pub(crate) async fn dead(&self) -> Vec<DeadLetter> {
        let filter = DeadFilter {
            most: 100,
            ..DeadFilter::default()
        };
        self.queue.dead_letters(&filter).await.unwrap()
    }

    /// Checks that the books balance.
    pub(crate) async fn balances(&self) {
        let books = self.queue.books().await.unwrap();
        assert_eq!(books.drift(), 0, "{books:?}");
    }

    /// A value on the worker's part of the metrics page.
    pub(crate) fn sample(&self, series: &str, labels: &[&str]) -> Option<f64> {
        let page = prometheus::TextEncoder::new()
            .encode_to_string(&self.series.gather())
            .unwrap();
        let line = page.lines().find(|line| {
            line.starts_with(series) && labels.iter().all(|label| line.contains(label))
        })?;
        line.rsplit_once(' ')?.1.parse().ok()
    }
}

pub(crate) fn call(function: &str) -> QueuedCall {
    QueuedCall {
        id: InvocationId::new(),
        call_id: "c-1".into(),
        queue: "faas-request".into(),
        function: format!("{function}.openfaas-fn"),
        called: function.into(),
        method: "POST".into(),
        host: "gw.example:8080".into(),
        path: "/".into(),
        query: None,
        headers: Vec::new(),
        body: Bytes::from_static(b"a body"),
        callback_url: None,
        keep_result: false,
        accepted_ms: now_ms(),
        annotations: BTreeMap::new(),
    }
}

pub(crate) fn annotated(function: &str, pairs: &[(&str, &str)]) -> QueuedCall {
    let pairs = pairs.iter();
    QueuedCall {
        annotations: pairs
            .map(|(name, value)| (format!("com.openfaas.{name}"), (*value).to_owned()))
            .collect(),
        ..call(function)
    }
}

pub(crate) fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_millis().try_into().unwrap()
}
