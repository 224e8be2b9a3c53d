//! Queues to test, calls to put into them, and patience with an end.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use faas_queue::embedded::Limits;
use faas_queue::nats::{Login, Settings};
use faas_queue::{
    Accepted, Answer, Books, Embedded, InvocationId, Nats, NewCall, Queue, QueuedCall, Settlement,
    State, Taken, TakenCallback, Verdict, Work,
};
use tempfile::TempDir;

pub(crate) use crate::patience::{found, soon, until};
use crate::server::Server;

pub(crate) const LEASE: Duration = Duration::from_secs(3);
pub(crate) const FUNCTION: &str = "f.openfaas-fn";

/// A back-end with nothing in it.
pub(crate) trait Backend: Sized {
    async fn with(limits: Limits) -> Self;
    fn queue(&self) -> &dyn Work;
    /// Ends whoever works with it, and begins anew.
    async fn restart(&mut self);

    async fn start() -> Self {
        let limits = Limits {
            lease: LEASE,
            ..Limits::default()
        };
        Self::with(limits).await
    }
}

pub(crate) struct Disk {
    pub(crate) directory: TempDir,
    queue: Option<Embedded>,
}

impl Backend for Disk {
    async fn with(limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let queue = Embedded::open(directory.path(), limits).unwrap();
        Self {
            directory,
            queue: Some(queue),
        }
    }

    fn queue(&self) -> &dyn Work {
        self.queue.as_ref().unwrap()
    }

    async fn restart(&mut self) {
        drop(self.queue.take());
        self.queue = Some(opened(self.directory.path()).await);
    }
}

/// Opens a directory once whoever had it has let it go.
pub(crate) async fn opened(directory: &Path) -> Embedded {
    found("the directory to be free", async || {
        Embedded::open(directory, Limits::default()).ok()
    })
    .await
}

pub(crate) fn call(function: &str) -> QueuedCall {
    QueuedCall {
        id: InvocationId::new(),
        call_id: "c-1".into(),
        queue: "faas-request".into(),
        function: function.into(),
        called: "f".into(),
        method: "POST".into(),
        host: "gateway".into(),
        path: "/a%2Fb".into(),
        query: Some("x=1".into()),
        headers: vec![("x-bytes".into(), vec![0xff])],
        body: Bytes::from_static(b"\0body"),
        callback_url: None,
        keep_result: false,
        accepted_ms: now_ms(),
        annotations: BTreeMap::new(),
    }
}

pub(crate) fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_millis().try_into().unwrap()
}

pub(crate) fn new(call: QueuedCall) -> NewCall {
    NewCall {
        call,
        delay: Duration::ZERO,
        idempotency: None,
    }
}

/// Accepts a call and gives it as it was.
pub(crate) async fn accept(queue: &dyn Work, call: QueuedCall) -> QueuedCall {
    let Accepted { id, duplicate } = queue.accept(new(call.clone())).await.unwrap();
    assert!(!duplicate);
    // It is the queue that names a call: on NATS by its place.
    QueuedCall { id, ..call }
}

pub(crate) async fn accept_one(queue: &dyn Work) -> QueuedCall {
    accept(queue, call(FUNCTION)).await
}

/// Takes what is due of a function.
pub(crate) async fn take(queue: &dyn Work, function: &str, most: usize) -> Vec<Taken> {
    queue.take(&[(function.to_owned(), most)]).await.unwrap()
}

/// Takes one call, once it is due.
pub(crate) async fn take_one(queue: &dyn Work) -> Taken {
    found("a call to be due", async || {
        take(queue, FUNCTION, 1).await.pop()
    })
    .await
}

/// Takes one callback, once it is due.
pub(crate) async fn take_callback(queue: &dyn Work) -> TakenCallback {
    found("a callback to be due", async || {
        queue.take_callbacks(1).await.unwrap().pop()
    })
    .await
}

pub(crate) fn settlement(verdict: Verdict, answer: Option<Answer>) -> Settlement {
    Settlement {
        verdict,
        status: answer.as_ref().map(|answer| answer.status),
        answer,
        took: Duration::from_millis(12),
        max_retries: 10,
    }
}

pub(crate) fn answer(status: u16) -> Answer {
    Answer {
        status,
        headers: vec![("x-answer".into(), b"1".to_vec())],
        body: Bytes::from_static(b"answer\0"),
        truncated: false,
    }
}

pub(crate) async fn settle(queue: &dyn Work, taken: &Taken, verdict: Verdict, status: u16) -> bool {
    let settlement = settlement(verdict, Some(answer(status)));
    queue.settle(taken, settlement).await.unwrap()
}

pub(crate) async fn state(queue: &dyn Work, id: InvocationId) -> State {
    queue.status(id).await.unwrap().unwrap().state
}

/// The books as they have to be, and that they balance.
pub(crate) async fn books(queue: &dyn Queue) -> Books {
    let books = queue.books().await.unwrap();
    assert_eq!(books.drift(), 0, "{books:?}");
    books
}

/// A queue on a server of its own. Who works with it begins anew; the server goes on.
pub(crate) struct Stream {
    _server: Server,
    settings: Settings,
    queue: Option<Nats>,
}

impl Backend for Stream {
    async fn with(limits: Limits) -> Self {
        let server = Server::start().await;
        let settings = Settings {
            servers: server.at(),
            login: Login::None,
            authorities: None,
            queue: "faas-request".into(),
            replicas: 1,
            most_calls: limits.most_calls,
            most_calls_of_a_function: limits.most_calls_of_a_function,
            result_ttl: limits.result_ttl,
            lease: limits.lease,
        };
        let queue = Nats::work(settings.clone()).await.unwrap();
        Self {
            _server: server,
            settings,
            queue: Some(queue),
        }
    }

    fn queue(&self) -> &dyn Work {
        self.queue.as_ref().unwrap()
    }

    async fn restart(&mut self) {
        drop(self.queue.take());
        self.queue = Some(Nats::work(self.settings.clone()).await.unwrap());
    }
}

/// Every case as a test of every back-end.
macro_rules! of_every_backend {
    ($($case:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test]
            async fn $case() {
                super::$case(<crate::support::Disk as crate::support::Backend>::start().await).await;
            })*
        }

        mod on_nats {
            $(#[tokio::test]
            async fn $case() {
                super::$case(<crate::support::Stream as crate::support::Backend>::start().await).await;
            })*
        }
    };
}
pub(crate) use of_every_backend;
