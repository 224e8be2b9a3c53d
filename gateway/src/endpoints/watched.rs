//! The table of a provider in another process: watched where it publishes one, else put together by polling.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use faas_provider::{Client, EndpointTable, FunctionName, Publisher, client};
use futures_util::StreamExt;
use http::StatusCode;
use tokio::sync::{Mutex, watch};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use url::Url;

use super::{Endpoints, Polled};

/// Pause before the provider is asked again: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long the answer "no such function" holds, so that calls of unknown names do not become requests to the provider.
const UNKNOWN_FOR: Duration = Duration::from_millis(250);
/// Most unknown names remembered.
const UNKNOWN_KEPT: usize = 1024;

/// The table of a provider at a URL. Dropping it ends the watching.
pub struct Watched {
    client: Client,
    publisher: Arc<Publisher>,
    polled: Polled,
    /// Whether the provider publishes no table.
    foreign: Arc<AtomicBool>,
    unknown: Mutex<HashMap<FunctionName, Instant>>,
    _stop: DropGuard,
}

impl Watched {
    /// Begins to watch. The table is complete once the provider has answered.
    #[must_use]
    pub fn start(client: Client, provider: &Url, default_namespace: &str) -> Self {
        let publisher = Arc::new(Publisher::default());
        let polled = Polled::new(
            client.clone(),
            provider,
            default_namespace,
            Arc::clone(&publisher),
        );
        let foreign = Arc::new(AtomicBool::new(false));
        let stop = CancellationToken::new();
        let task = watch_for_ever(
            client.clone(),
            Arc::clone(&publisher),
            polled.clone(),
            Arc::clone(&foreign),
        );
        tokio::spawn(stop.clone().run_until_cancelled_owned(task));
        Self {
            client,
            publisher,
            polled,
            foreign,
            unknown: Mutex::default(),
            _stop: stop.drop_guard(),
        }
    }

    /// Whether the name was asked for a moment ago and did not exist.
    async fn lately_unknown(&self, name: &FunctionName) -> bool {
        let mut unknown = self.unknown.lock().await;
        unknown.retain(|_, asked| asked.elapsed() < UNKNOWN_FOR);
        unknown.contains_key(name.as_str())
    }

    async fn remember_unknown(&self, name: &FunctionName) {
        let mut unknown = self.unknown.lock().await;
        if unknown.len() < UNKNOWN_KEPT {
            unknown.insert(name.clone(), Instant::now());
        }
    }
}

#[async_trait]
impl Endpoints for Watched {
    fn table(&self) -> watch::Receiver<EndpointTable> {
        self.publisher.watch()
    }

    async fn ask(&self, name: &FunctionName) -> Result<bool, client::Error> {
        // No function's own name has a dot; a provider might take what follows it for a namespace.
        if name.name().contains('.') || self.lately_unknown(name).await {
            return Ok(false);
        }
        let exists = if self.foreign.load(Ordering::Acquire) {
            self.polled.ask(name).await?
        } else {
            match self.client.status(name).await {
                Ok(_) => true,
                Err(client::Error::NotFound) => false,
                Err(error) => return Err(error),
            }
        };
        if !exists {
            self.remember_unknown(name).await;
        }
        Ok(exists)
    }

    async fn changed(&self) {
        self.unknown.lock().await.clear();
        if self.foreign.load(Ordering::Acquire) {
            self.polled.refresh().await;
        }
    }
}

/// Whether this is how a provider says that it has no such route.
fn has_no_route(error: &client::Error) -> bool {
    let refused = |status| {
        matches!(
            status,
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED
        )
    };
    match error {
        client::Error::NotFound => true,
        client::Error::Refused { status, .. } => refused(*status),
        client::Error::Transport(_) => false,
    }
}

async fn watch_for_ever(
    client: Client,
    publisher: Arc<Publisher>,
    polled: Polled,
    foreign: Arc<AtomicBool>,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        match client.endpoints().await {
            Ok(tables) => {
                foreign.store(false, Ordering::Release);
                let mut tables = std::pin::pin!(tables);
                while let Some(Ok(table)) = tables.next().await {
                    pause = FIRST_PAUSE;
                    publisher.replace(table);
                }
                tracing::warn!("the provider's endpoints are not watched any more; asking again");
            }
            Err(error) if has_no_route(&error) => {
                foreign.store(true, Ordering::Release);
                polled.refresh().await;
                // A provider of ours may take its place; the question costs one 404.
                pause = Polled::INTERVAL;
            }
            Err(error) => {
                tracing::warn!(%error, "the provider's endpoints cannot be watched; asking again");
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
