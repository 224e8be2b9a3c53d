//! A whole platform in memory, gateway and provider in one server. It does everything right but
//! what one [`Switch`] gets wrong. It shares no code with any platform, and its functions are
//! programs played in memory.

mod alert;
mod answer;
mod call;
mod crowd;
mod deployment;
mod describe;
mod forward;
mod functions;
mod info;
mod logs;
mod metrics;
mod namespaces;
mod probe;
mod programs;
mod queue;
mod request;
mod routes;
mod scale;
mod secrets;
mod state;
mod upstream;
mod validate;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use crate::switch::Switch;
use answer::{Answer, empty};
use crowd::Crowd;
pub(crate) use state::{DEFAULT, Function, Key, SECOND, State};

pub(crate) const USER: &str = "admin";
pub(crate) const PASSWORD: &str = "secret";

/// `Authorization` with that user and that password.
pub(crate) const BASIC: &str = "Basic YWRtaW46c2VjcmV0";

/// The platform, shared by its connections and the test.
pub(crate) struct Model {
    /// What it gets wrong, if anything.
    pub(crate) switch: Option<Switch>,
    /// Whether a gateway stands in front of the provider.
    pub(crate) is_gateway: bool,
    /// The `Authorization` that the system API wants, if any.
    pub(crate) authorization: Option<String>,
    state: Mutex<State>,
    crowd: Crowd,
}

impl Model {
    pub(crate) fn gateway(switch: Option<Switch>) -> Self {
        Self {
            switch,
            is_gateway: true,
            authorization: None,
            state: Mutex::new(State::new()),
            crowd: Crowd::default(),
        }
    }

    pub(crate) fn provider() -> Self {
        Self::gateway(None).alone()
    }

    /// The same without a gateway.
    pub(crate) fn alone(self) -> Self {
        Self {
            is_gateway: false,
            ..self
        }
    }

    /// The same without a second namespace.
    pub(crate) fn in_one_namespace(self) -> Self {
        self.state().namespaces.remove(SECOND);
        self
    }

    /// The same, with this `Authorization` wanted by the system API.
    pub(crate) fn wanting(self, authorization: &str) -> Self {
        Self {
            authorization: Some(authorization.to_owned()),
            ..self
        }
    }

    /// Serves on a port of its own until the test ends; gives the URL.
    pub(crate) async fn serve(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let model = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                tokio::spawn(model.clone().converse(stream, peer));
            }
        });
        url
    }

    async fn converse(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        // Small answers come in two writes; held back, each would cost 40 ms.
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let model = self.clone();
            async move { Ok::<_, Infallible>(routes::answer(model, request, peer).await) }
        });
        // A caller that hangs up is nobody's fault.
        let _ = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await;
    }

    /// Whether this is the thing to get wrong.
    pub(crate) fn wrong(&self, switch: Switch) -> bool {
        self.switch == Some(switch)
    }

    /// What was found, unless this is not looked for.
    pub(crate) fn unless(&self, switch: Switch, found: Result<(), Answer>) -> Result<(), Answer> {
        match found {
            Err(_) if self.wrong(switch) => Ok(()),
            found => found,
        }
    }

    /// A good name; with the switch, any is taken, and nothing done.
    pub(crate) fn name(&self, switch: Switch, field: &str, name: &str) -> Result<(), Answer> {
        let found = validate::name(self, field, name);
        found.map_err(|refused| {
            if self.wrong(switch) {
                empty(202)
            } else {
                refused
            }
        })
    }

    /// What there is. Never held across an `await`.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Changes a function, if it is still there.
    pub(crate) fn change(&self, key: &Key, change: impl FnOnce(&mut Function)) {
        if let Some(function) = self.state().functions.get_mut(key) {
            change(function);
        }
    }

    /// Adds a line to a function's log.
    pub(crate) fn log(&self, key: &Key, replica: usize, text: String) {
        self.change(key, |function| {
            let instance = function.instance(replica);
            function.log.add(&instance, text);
        });
    }

    /// Counts a call that a function has answered.
    pub(crate) fn count(&self, (namespace, name): &Key, status: u16) {
        let name = match self.switch {
            Some(Switch::MetricsWithoutNamespace) => name.clone(),
            Some(Switch::CallsNotCounted) => return,
            _ => format!("{name}.{namespace}"),
        };
        let status = if self.wrong(Switch::MetricsAlways200) {
            200
        } else {
            status
        };
        let mut state = self.state();
        *state.started.entry(name.clone()).or_default() += 1;
        *state.answered.entry((name, status)).or_default() += 1;
    }

    /// The names of all functions.
    pub(crate) fn function_names(&self) -> Vec<Key> {
        self.state().functions.keys().cloned().collect()
    }

    /// The names of all secrets.
    pub(crate) fn secret_names(&self) -> Vec<Key> {
        self.state().secrets.keys().cloned().collect()
    }
}
