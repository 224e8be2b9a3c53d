//! Asking the provider for more replicas, and never for fewer than there are. Where several gateways wake a function at once, all
//! have the one that decides ask, one after the other; whoever cannot reach it asks for itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use faas_provider::{Client, FunctionName, client};
use http::StatusCode;

use super::company::Company;
use crate::endpoints::Endpoints;
use crate::error::in_words;

/// Raises numbers of replicas.
pub(crate) struct Raiser {
    provider: Client,
    endpoints: Arc<dyn Endpoints>,
    /// The other gateways, where there may be any.
    company: Option<Arc<Company>>,
    under_way: Mutex<HashMap<FunctionName, Turn>>,
}

/// Whose turn it is to ask for a function's replicas.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// Why a function does not get more replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(super) words: String,
    /// Whether the same will be said again.
    pub(super) is_final: bool,
}

impl From<client::Error> for Refusal {
    fn from(error: client::Error) -> Self {
        let is_final = match &error {
            client::Error::NotFound => true,
            // A conflict passes.
            client::Error::Refused { status, .. } => {
                status.is_client_error() && *status != StatusCode::CONFLICT
            }
            client::Error::Transport(_) => false,
        };
        Self {
            words: in_words(&error),
            is_final,
        }
    }
}

impl Raiser {
    pub(crate) fn new(
        provider: Client,
        endpoints: Arc<dyn Endpoints>,
        company: Option<Arc<Company>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            provider,
            endpoints,
            company,
            under_way: Mutex::default(),
        })
    }

    /// Sees to it that a function has so many replicas at least.
    pub(super) async fn raise(&self, name: &FunctionName, replicas: u64) -> Result<(), Refusal> {
        let Some(company) = &self.company else {
            return Ok(self.provider.scale(name, replicas).await?);
        };
        match company.have_raised(name, replicas).await {
            Some(done) => done,
            None => self.raise_here(name, replicas).await,
        }
    }

    /// The same, by this gateway itself.
    pub(super) async fn raise_here(
        &self,
        name: &FunctionName,
        replicas: u64,
    ) -> Result<(), Refusal> {
        let turn = Arc::clone(self.under_way().entry(name.clone()).or_default());
        let asked = {
            let _turn = turn.lock().await;
            self.ask(name, replicas).await
        };
        drop(turn);
        // This map has the last one of those that nobody waits for.
        self.under_way()
            .retain(|_, turn| Arc::strong_count(turn) > 1);
        asked
    }

    async fn ask(&self, name: &FunctionName, replicas: u64) -> Result<(), Refusal> {
        // The table may not show yet what was asked for a moment ago.
        let shown = self.endpoints.table().borrow().get(name.as_str()).cloned();
        let shown = shown.map_or(0, |function| function.replicas);
        let current = match self.provider.status(name).await {
            Ok(status) => status.replicas,
            Err(_) => shown,
        };
        if current < replicas {
            self.provider.scale(name, replicas).await?;
            tracing::info!(function = %name, from = current, to = replicas, "scaling for calls that wait");
        }
        Ok(())
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<FunctionName, Turn>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
