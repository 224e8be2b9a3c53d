//! The table of a provider that publishes none: put together from its lists, calls going through its `/function/` route.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use faas_http::forward::Upstream;
use faas_provider::{
    Client, Endpoint, EndpointTable, FunctionEndpoints, FunctionName, FunctionStatus, Publisher,
    client,
};
use http::uri::Authority;
use tokio::sync::Mutex;
use url::Url;

/// The one endpoint of all functions.
pub(super) const PROVIDER: &str = "the provider itself";

/// Asks a foreign provider. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Polled {
    client: Client,
    authority: Option<Authority>,
    base_path: String,
    default_namespace: String,
    publisher: Arc<Publisher>,
    /// One reading at a time, so that what was read last was also asked last.
    reading: Arc<Mutex<()>>,
}

impl Polled {
    /// How often the lists are read.
    pub(crate) const INTERVAL: Duration = Duration::from_secs(2);

    pub(crate) fn new(
        client: Client,
        provider: &Url,
        default_namespace: &str,
        publisher: Arc<Publisher>,
    ) -> Self {
        let authority = match (provider.host_str(), provider.port_or_known_default()) {
            (Some(host), Some(port)) => format!("{host}:{port}").parse().ok(),
            _ => None,
        };
        let base_path = provider.path().trim_end_matches('/').to_owned();
        Self {
            client,
            authority,
            base_path,
            default_namespace: default_namespace.to_owned(),
            publisher,
            reading: Arc::default(),
        }
    }

    /// Reads all lists and replaces the table. A provider that cannot be asked leaves the last table standing.
    pub(crate) async fn refresh(&self) {
        let _reading = self.reading.lock().await;
        match self.read_all().await {
            Ok(functions) => {
                let old = self.publisher.watch().borrow().clone();
                let entry = |status: &FunctionStatus| {
                    let name = self.name(status);
                    let entry = Arc::new(self.entry(&old, &name, status));
                    (name, entry)
                };
                let functions: HashMap<_, _> = functions.iter().map(entry).collect();
                self.publisher.replace(EndpointTable {
                    complete: true,
                    functions: Arc::new(functions),
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the provider's functions cannot be listed; asking again");
            }
        }
    }

    /// Asks about one function now.
    pub(crate) async fn ask(&self, name: &FunctionName) -> Result<bool, client::Error> {
        match self.client.status(name).await {
            Ok(status) => {
                let old = self.publisher.watch().borrow().clone();
                self.publisher
                    .publish(name, self.entry(&old, name, &status));
                Ok(true)
            }
            Err(client::Error::NotFound) => {
                self.publisher.remove(name);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn read_all(&self) -> Result<Vec<FunctionStatus>, client::Error> {
        let namespaces = match self.client.namespaces().await {
            Ok(namespaces) if !namespaces.is_empty() => namespaces,
            Err(error @ client::Error::Transport(_)) => return Err(error),
            // It has none, in whatever words.
            Ok(_) | Err(_) => vec![self.default_namespace.clone()],
        };
        let mut all = Vec::new();
        for namespace in namespaces {
            all.extend(self.client.list(&namespace).await?);
        }
        Ok(all)
    }

    fn name(&self, status: &FunctionStatus) -> FunctionName {
        let namespace = if status.namespace.is_empty() {
            &self.default_namespace
        } else {
            &status.namespace
        };
        FunctionName::new(&status.name, namespace)
    }

    /// The entry of a function: the provider itself, once for all replicas, where any is available.
    fn entry(
        &self,
        old: &EndpointTable,
        name: &FunctionName,
        status: &FunctionStatus,
    ) -> FunctionEndpoints {
        let known = old
            .get(name.as_str())
            .and_then(|entry| entry.endpoints.first().cloned());
        let endpoint = || known.or_else(|| self.endpoint(name, status));
        FunctionEndpoints {
            replicas: status.replicas,
            labels: Arc::new(status.labels.clone().unwrap_or_default()),
            annotations: Arc::new(status.annotations.clone().unwrap_or_default()),
            endpoints: if status.available_replicas > 0 {
                endpoint().into_iter().collect()
            } else {
                Vec::new()
            },
        }
    }

    fn endpoint(&self, name: &FunctionName, status: &FunctionStatus) -> Option<Endpoint> {
        // A provider that reports no namespaces would take the dot for a part of the name.
        let called = if status.namespace.is_empty() {
            name.name()
        } else {
            name.as_str()
        };
        let prefix = format!("{}/function/{called}", self.base_path);
        Some(Upstream::below(PROVIDER, self.authority.clone()?, prefix))
    }
}
