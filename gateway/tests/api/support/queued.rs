//! A gateway that queues calls on a disk, and the worker's side of that queue in the test's hands.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use faas_gateway::Config;
use faas_http::auth::Credentials;
use faas_queue::embedded::Limits;
use faas_queue::{
    Answer, Embedded, InvocationId, Queue, QueuedCall, Settlement, State, Taken, Verdict, Work,
};
use tempfile::TempDir;

use super::{Answer as Response, Deployed, Fake, TestGateway, config};

pub(crate) struct Queued {
    pub(crate) fake: Fake,
    pub(crate) gateway: TestGateway,
    pub(crate) queue: Embedded,
    _directory: TempDir,
}

impl Queued {
    /// In front of a function `echo`.
    pub(crate) async fn start() -> Self {
        Self::with(|_| (), Limits::default(), None).await
    }

    pub(crate) async fn with(
        set: impl FnOnce(&mut Config),
        limits: Limits,
        credentials: Option<Credentials>,
    ) -> Self {
        let fake = Fake::start().await;
        fake.deploy("echo", Deployed::with(1));
        let directory = tempfile::tempdir().unwrap();
        let queue = Embedded::open(directory.path(), limits).unwrap();
        let mut config = config(fake.address);
        set(&mut config);
        let gateway = TestGateway::queueing(config, Arc::new(queue.clone()), credentials).await;
        Self {
            gateway: gateway.once_ready().await,
            fake,
            queue,
            _directory: directory,
        }
    }

    /// Posts a call with these headers.
    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        let request = self.gateway.request("POST", path).body("a body");
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        Response::to(request).await
    }

    /// Posts a call of `echo` that has to be accepted.
    pub(crate) async fn accepted(&self, headers: &[(&str, &str)]) -> InvocationId {
        let answer = self.post("/async-function/echo", headers).await;
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (202, ""),
            "{answer:?}"
        );
        answer.header("x-invocation-id").parse().unwrap()
    }

    pub(crate) async fn take(&self) -> Vec<Taken> {
        self.take_of("echo").await
    }

    pub(crate) async fn take_of(&self, function: &str) -> Vec<Taken> {
        self.take_some(function, 100).await
    }

    async fn take_some(&self, function: &str, most: usize) -> Vec<Taken> {
        let wish = (format!("{function}.openfaas-fn"), most);
        self.queue.take(&[wish]).await.unwrap()
    }

    pub(crate) async fn state(&self, id: InvocationId) -> State {
        self.queue.status(id).await.unwrap().unwrap().state
    }

    /// The one call that waits.
    pub(crate) async fn only(&self) -> QueuedCall {
        let taken = self.take().await;
        assert_eq!(taken.len(), 1);
        taken[0].call().unwrap()
    }

    /// Takes the call that has waited for longest, and ends it so.
    pub(crate) async fn end(&self, verdict: Verdict, status: u16) {
        let taken = self.take_some("echo", 1).await.remove(0);
        let answer = Answer {
            status,
            headers: vec![("x-answer".into(), b"1".to_vec())],
            body: Bytes::from_static(b"what came of it"),
            truncated: false,
        };
        let settlement = Settlement {
            verdict,
            answer: Some(answer),
            status: Some(status),
            took: Duration::from_millis(1),
            max_retries: 10,
        };
        assert!(self.queue.settle(&taken, settlement).await.unwrap());
    }
}
