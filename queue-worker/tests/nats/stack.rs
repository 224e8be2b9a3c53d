//! NATS, a gateway and a worker, before functions that write down what they ran.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use tokio::net::TcpSocket;

use crate::functions::Functions;
use crate::processes::Process;
use crate::server::{Server, reserved};
use crate::until;

/// A port that stays ours while the process that listens on it comes and goes.
pub(crate) struct Port(
    pub(crate) SocketAddr,
    #[expect(dead_code, reason = "it keeps the port")] TcpSocket,
);

impl Port {
    pub(crate) fn reserved() -> Self {
        let (address, socket) = reserved();
        Self(address, socket)
    }

    pub(crate) fn text(&self) -> String {
        self.0.port().to_string()
    }
}

pub(crate) struct Stack {
    pub(crate) nats: Server,
    pub(crate) functions: Functions,
    pub(crate) gateway: Process,
    pub(crate) worker: Option<Process>,
    pub(crate) public: Port,
    looks: Port,
    worker_looks: Port,
    http: Client,
    lease: String,
    /// Where NATS is.
    hosts: String,
    further: Vec<(&'static str, String)>,
}

impl Stack {
    /// All of it; what a worker holds is believed lost after `lease`.
    pub(crate) async fn start(lease: &str) -> Self {
        Self::with(lease, &[]).await
    }

    /// All of it, with further variables for gateway and worker.
    pub(crate) async fn with(lease: &str, further: &[(&'static str, &str)]) -> Self {
        let mut stack = Self::idle(Server::start().await, lease, further).await;
        stack.begin_worker();
        stack
    }

    /// No worker yet.
    pub(crate) async fn idle(nats: Server, lease: &str, further: &[(&'static str, &str)]) -> Self {
        Self::on(nats, "127.0.0.1", lease, further).await
    }

    /// No worker yet, and NATS on several hosts, one of which is `nats`.
    pub(crate) async fn on(
        nats: Server,
        hosts: &str,
        lease: &str,
        further: &[(&'static str, &str)],
    ) -> Self {
        let functions = Functions::start().await;
        let further = further
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        let further: Vec<_> = further.collect();
        let [public, looks, worker_looks] = [(); 3].map(|()| Port::reserved());
        let variables = gateway(nats.address, hosts, &functions, &public, &looks, &further);
        let stack = Self {
            gateway: Process::gateway(&variables),
            worker: None,
            nats,
            functions,
            public,
            looks,
            worker_looks,
            http: Client::new(),
            lease: lease.to_owned(),
            hosts: hosts.to_owned(),
            further,
        };
        stack.gateway_answers().await;
        stack
    }

    pub(crate) fn begin_gateway(&mut self) {
        self.begin_gateway_through(self.nats.address);
    }

    /// A gateway that finds NATS there.
    pub(crate) fn begin_gateway_through(&mut self, nats: SocketAddr) {
        let Self {
            hosts,
            functions,
            public,
            looks,
            further,
            ..
        } = self;
        self.gateway = Process::gateway(&gateway(nats, hosts, functions, public, looks, further));
    }

    pub(crate) fn begin_worker(&mut self) {
        self.begin_worker_through(self.nats.address);
    }

    /// A worker that finds NATS there.
    pub(crate) fn begin_worker_through(&mut self, nats: SocketAddr) {
        self.worker = Some(self.worker_on(self.worker_looks.text(), nats));
    }

    /// One more, which nobody looks at.
    pub(crate) fn another_worker_without_port(&self) -> Process {
        self.another_worker_through(self.nats.address)
    }

    pub(crate) fn another_worker_through(&self, nats: SocketAddr) -> Process {
        self.worker_on("0".to_owned(), nats)
    }

    /// A worker of another queue, which nobody looks at.
    pub(crate) fn worker_of_queue(&self, queue: &str) -> Process {
        let mut variables = self.worker_variables("0".to_owned(), self.nats.address);
        variables.push(("queue_name", queue.to_owned()));
        Process::worker(&variables)
    }

    fn worker_on(&self, port: String, nats: SocketAddr) -> Process {
        Process::worker(&self.worker_variables(port, nats))
    }

    fn worker_variables(&self, port: String, nats: SocketAddr) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("nats_host", self.hosts.clone()),
            ("nats_port", nats.port().to_string()),
            ("gateway_url", format!("http://{}", self.public.0)),
            ("ack_wait", self.lease.clone()),
            ("initial_retry_wait", "500ms".to_owned()),
            ("metrics_port", port),
        ];
        variables.extend(self.further.iter().cloned());
        variables
    }

    /// Waits for the gateway to answer for the functions.
    pub(crate) async fn gateway_answers(&self) {
        let call = async || {
            let answer = self.http.get(self.url("/healthz")).send().await;
            answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
        };
        until("the gateway", call).await;
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.public.0)
    }

    /// What the gateway says to a call.
    pub(crate) async fn answer(
        &self,
        function: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> reqwest::Result<Response> {
        let path = format!("/async-function/{function}");
        let request = self.http.post(self.url(&path)).body(body);
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        request.send().await
    }

    /// Posts a call; its id where it was accepted.
    pub(crate) async fn post(
        &self,
        function: &str,
        headers: &[(&str, &str)],
    ) -> Result<String, Option<StatusCode>> {
        let answer = self.answer(function, headers, b"a body".to_vec()).await;
        Self::accepted_id(&answer.map_err(|_| None)?)
    }

    /// Posts a call with this body, whose answer is kept.
    pub(crate) async fn post_body(
        &self,
        function: &str,
        body: Vec<u8>,
    ) -> Result<String, Option<StatusCode>> {
        let answer = self
            .answer(function, &[("x-async-result", "keep")], body)
            .await;
        Self::accepted_id(&answer.map_err(|_| None)?)
    }

    fn accepted_id(answer: &Response) -> Result<String, Option<StatusCode>> {
        match answer.status() {
            StatusCode::ACCEPTED => {
                let id = &answer.headers()["x-invocation-id"];
                Ok(id.to_str().unwrap().to_owned())
            }
            status => Err(Some(status)),
        }
    }

    /// Posts so many calls, one after the other, whatever happens meanwhile; the ids of those that were accepted.
    pub(crate) async fn post_all(&self, calls: usize, pause: Duration) -> Vec<String> {
        let mut accepted = Vec::new();
        for _ in 0..calls {
            accepted.extend(self.post("f", &[]).await.ok());
            tokio::time::sleep(pause).await;
        }
        accepted
    }

    /// So many calls at once, all of which have to be accepted.
    pub(crate) async fn all_accepted(
        &self,
        function: &str,
        calls: usize,
        headers: &[(&str, &str)],
    ) -> Vec<String> {
        const AT_ONCE: usize = 64;
        let calls = stream::iter(0..calls).map(|_| self.accepted(function, headers));
        calls.buffered(AT_ONCE).collect().await
    }

    /// A call that has to be accepted.
    pub(crate) async fn accepted(&self, function: &str, headers: &[(&str, &str)]) -> String {
        self.post(function, headers).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, String) {
        let answer = self.http.get(self.url(path)).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    pub(crate) async fn delete(&self, path: &str) -> StatusCode {
        let answer = self.http.delete(self.url(path)).send().await;
        answer.unwrap().status()
    }

    /// What the gateway says of a call.
    pub(crate) async fn status(&self, id: &str) -> Value {
        let (status, text) = self.get(&format!("/async-function/{id}")).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Waits until a call stands so.
    pub(crate) async fn stands(&self, id: &str, state: &str) -> Value {
        until(&format!("the call to be {state}"), async || {
            self.status(id).await["state"] == state
        })
        .await;
        self.status(id).await
    }

    /// What the gateway and the worker say on their other ports.
    pub(crate) async fn gateway_page(&self, path: &str) -> (StatusCode, String) {
        page(&self.http, self.looks.0, path).await.unwrap()
    }

    pub(crate) async fn worker_page(&self, path: &str) -> Option<(StatusCode, String)> {
        page(&self.http, self.worker_looks.0, path).await
    }

    /// Waits until nothing waits and nothing runs, and checks that the books balance. What they say.
    pub(crate) async fn settled(&self) -> Value {
        let read = async || {
            let (status, text) = self.get("/system/queues").await;
            let read: Value = serde_json::from_str(&text).unwrap_or_default();
            (status, read)
        };
        until("all calls to end", async || {
            let (status, said) = read().await;
            let books = &said["books"];
            status == StatusCode::OK && books["waiting"] == 0 && books["running"] == 0
        })
        .await;
        let books = read().await.1["books"].clone();
        assert_eq!(books["drift"], 0, "{books}");
        books
    }

    /// Waits for so long that a lease ends.
    pub(crate) async fn wait(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

async fn page(http: &Client, address: SocketAddr, path: &str) -> Option<(StatusCode, String)> {
    let answer = http
        .get(format!("http://{address}{path}"))
        .send()
        .await
        .ok()?;
    Some((answer.status(), answer.text().await.ok()?))
}

fn gateway(
    nats: SocketAddr,
    hosts: &str,
    functions: &Functions,
    public: &Port,
    looks: &Port,
    further: &[(&'static str, String)],
) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("functions_provider_url", functions.url("/")),
        ("port", public.text()),
        ("metrics_port", looks.text()),
        ("faas_nats_address", hosts.to_owned()),
        ("faas_nats_port", nats.port().to_string()),
    ];
    variables.extend(further.iter().cloned());
    variables
}
