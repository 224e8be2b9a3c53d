//! A provider in memory, whose replicas and log lines the tests play.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use faas_http::forward::Upstream;
use faas_provider::*;
use futures_util::StreamExt;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;

type Done<T = ()> = Result<T, ProviderError>;

/// A log that was asked for, and where its lines go in.
pub(crate) struct LogQuery {
    pub(crate) name: FunctionName,
    pub(crate) request: LogRequest,
    pub(crate) lines: mpsc::UnboundedSender<LogMessage>,
}

#[derive(Default)]
struct State {
    functions: BTreeMap<FunctionName, FunctionStatus>,
    namespaces: BTreeMap<String, FunctionNamespace>,
    secrets: BTreeMap<(String, String), Vec<u8>>,
    replicas_at: Option<SocketAddr>,
    fault: Option<String>,
}

pub(crate) struct MemoryProvider {
    state: Mutex<State>,
    pub(crate) table: Publisher,
    log_queries: mpsc::UnboundedSender<LogQuery>,
}

impl MemoryProvider {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<LogQuery>) {
        let (log_queries, asked) = mpsc::unbounded_channel();
        let provider = Self {
            state: Mutex::default(),
            table: Publisher::complete(),
            log_queries,
        };
        (provider, asked)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Where replicas of functions deployed from now on listen.
    pub(crate) fn replicas_at(&self, address: SocketAddr) {
        self.state().replicas_at = Some(address);
    }

    /// From now on everything fails with these words, health included.
    pub(crate) fn fail(&self, words: &str) {
        self.state().fault = Some(words.to_owned());
    }

    pub(crate) fn secret(&self, namespace: &str, name: &str) -> Option<Vec<u8>> {
        self.state()
            .secrets
            .get(&(namespace.into(), name.into()))
            .cloned()
    }

    fn working(&self) -> Done<MutexGuard<'_, State>> {
        let state = self.state();
        match &state.fault {
            Some(words) => Err(ProviderError::backend(words.clone())),
            None => Ok(state),
        }
    }

    fn keep(&self, name: &FunctionName, mut status: FunctionStatus, replicas: u64) {
        let mut state = self.state();
        status.replicas = replicas;
        let replica = |address: SocketAddr, n| {
            Upstream::new(format!("{name}-{n}"), address.to_string().parse().unwrap())
        };
        let endpoints: Vec<_> = state
            .replicas_at
            .into_iter()
            .flat_map(|address| (0..replicas).map(move |n| replica(address, n)))
            .collect();
        status.available_replicas = endpoints.len() as u64;
        self.table
            .publish(name, FunctionEndpoints::of(&status, endpoints));
        state.functions.insert(name.clone(), status);
    }
}

/// What the trait promises of every name. A panic here ends the connection without an answer.
fn promised(name: &FunctionName) {
    assert!(
        is_dns_label(name.name()) && is_dns_label(name.namespace()),
        "asked for {name}"
    );
}

fn missing(name: &FunctionName) -> ProviderError {
    ProviderError::NotFound(name.clone())
}

#[async_trait]
impl Provider for MemoryProvider {
    fn info(&self) -> ProviderInfo {
        ProviderInfo::new("memory-for-tests", "none", "1.2.3")
    }

    fn endpoints(&self) -> watch::Receiver<EndpointTable> {
        self.table.watch()
    }

    async fn list(&self, namespace: &str) -> Done<Vec<FunctionStatus>> {
        let state = self.working()?;
        // Backwards, so that whoever wants an order has to make it.
        let here = state
            .functions
            .values()
            .rev()
            .filter(|one| one.namespace == namespace);
        Ok(here.cloned().collect())
    }

    async fn status(&self, name: &FunctionName, usage: bool) -> Done<FunctionStatus> {
        promised(name);
        let mut status = self
            .working()?
            .functions
            .get(name)
            .cloned()
            .ok_or_else(|| missing(name))?;
        status.usage = usage.then_some(FunctionUsage {
            cpu: 12.5,
            total_memory_bytes: 4096.0,
        });
        Ok(status)
    }

    async fn deploy(&self, name: &FunctionName, wish: FunctionDeployment) -> Done {
        promised(name);
        if self.working()?.functions.contains_key(name) {
            return Err(ProviderError::AlreadyExists(format!("function {name}")));
        }
        self.keep(name, FunctionStatus::of(name, &wish), 1);
        Ok(())
    }

    async fn update(&self, name: &FunctionName, wish: FunctionDeployment) -> Done {
        let replicas = self.status(name, false).await?.replicas;
        self.keep(name, FunctionStatus::of(name, &wish), replicas);
        Ok(())
    }

    async fn delete(&self, name: &FunctionName) -> Done {
        promised(name);
        self.table.remove(name);
        self.working()?
            .functions
            .remove(name)
            .map(drop)
            .ok_or_else(|| missing(name))
    }

    async fn scale(&self, name: &FunctionName, replicas: u64) -> Done {
        let status = self.status(name, false).await?;
        self.keep(name, status, replicas);
        Ok(())
    }

    async fn logs(&self, name: &FunctionName, request: LogRequest) -> Done<LogStream> {
        self.status(name, false).await?;
        let (lines, stream) = mpsc::unbounded_channel();
        let query = LogQuery {
            name: name.clone(),
            request,
            lines,
        };
        self.log_queries
            .send(query)
            .map_err(ProviderError::backend)?;
        Ok(UnboundedReceiverStream::new(stream).boxed())
    }

    async fn namespaces(&self) -> Done<Vec<FunctionNamespace>> {
        Ok(self.working()?.namespaces.values().cloned().collect())
    }

    async fn create_namespace(&self, namespace: FunctionNamespace) -> Done {
        let mut state = self.working()?;
        if state.namespaces.contains_key(&namespace.name) {
            return Err(ProviderError::AlreadyExists(format!(
                "namespace {}",
                namespace.name
            )));
        }
        state.namespaces.insert(namespace.name.clone(), namespace);
        Ok(())
    }

    async fn update_namespace(&self, namespace: FunctionNamespace) -> Done {
        match self.working()?.namespaces.get_mut(&namespace.name) {
            Some(known) => *known = namespace,
            None => return Err(ProviderError::NamespaceNotFound(namespace.name)),
        }
        Ok(())
    }

    async fn delete_namespace(&self, name: &str) -> Done {
        assert!(is_dns_label(name));
        let mut state = self.working()?;
        if state
            .functions
            .values()
            .any(|function| function.namespace == name)
        {
            return Err(ProviderError::InUse(format!(
                "namespace {name} is not empty"
            )));
        }
        let gone = state.namespaces.remove(name);
        gone.map(drop)
            .ok_or_else(|| ProviderError::NamespaceNotFound(name.into()))
    }

    async fn secrets(&self, namespace: &str) -> Done<Vec<String>> {
        let state = self.working()?;
        let here = state.secrets.keys().rev().filter(|(of, _)| of == namespace);
        Ok(here.map(|(_, name)| name.clone()).collect())
    }

    async fn create_secret(&self, namespace: &str, secret: Secret) -> Done {
        let mut state = self.working()?;
        let key = (namespace.to_owned(), secret.name.clone());
        if state.secrets.contains_key(&key) {
            return Err(ProviderError::AlreadyExists(format!(
                "secret {}",
                secret.name
            )));
        }
        state.secrets.insert(key, secret.bytes().unwrap());
        Ok(())
    }

    async fn update_secret(&self, namespace: &str, secret: Secret) -> Done {
        let key = (namespace.to_owned(), secret.name.clone());
        match self.working()?.secrets.get_mut(&key) {
            Some(value) => *value = secret.bytes().unwrap(),
            None => {
                return Err(ProviderError::SecretNotFound {
                    name: key.1,
                    namespace: key.0,
                });
            }
        }
        Ok(())
    }

    async fn delete_secret(&self, namespace: &str, name: &str) -> Done {
        let mut state = self.working()?;
        let used = |function: &FunctionStatus| {
            function.namespace == namespace && function.secrets.iter().any(|used| used == name)
        };
        if let Some(function) = state.functions.values().find(|function| used(function)) {
            return Err(ProviderError::InUse(format!(
                "secret {name} is used by {}",
                function.name
            )));
        }
        let gone = state.secrets.remove(&(namespace.into(), name.into()));
        let missing = || ProviderError::SecretNotFound {
            name: name.into(),
            namespace: namespace.into(),
        };
        gone.map(drop).ok_or_else(missing)
    }

    async fn health(&self) -> Health {
        self.state().fault.clone().map_or(Ok(()), Err)
    }
}
