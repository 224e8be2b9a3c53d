//! Which replicas, how busy? The gateway's one question about where functions run, and three ways to have it answered.

mod polled;
mod watched;

use async_trait::async_trait;
use faas_provider::{EndpointTable, FunctionEndpoints, FunctionName, client};
use tokio::sync::watch;

pub(crate) use polled::Polled;
pub use watched::Watched;

/// Knows the provider's functions and their replicas.
#[async_trait]
pub trait Endpoints: Send + Sync + 'static {
    /// The table, kept current. Warm calls ask nothing else.
    fn table(&self) -> watch::Receiver<EndpointTable>;

    /// Asks about one function that the table lacks, or shows without replicas: whether the provider has it. The table
    /// shows what was learned, now or in a moment.
    ///
    /// # Errors
    /// When the provider cannot be asked.
    async fn ask(&self, name: &FunctionName) -> Result<bool, client::Error>;

    /// To be called after a change has gone to the provider by way of this gateway, and before its caller hears of it, so
    /// that the next call sees it. Where the provider publishes its table there is nothing to do.
    async fn changed(&self) {}
}

/// Whether a function is called through its provider, for want of a table of its replicas.
pub(crate) fn are_the_provider(function: &FunctionEndpoints) -> bool {
    let endpoints = &function.endpoints;
    endpoints.iter().any(|one| one.id() == polled::PROVIDER)
}

/// How many replicas can take calls.
pub(crate) fn ready(function: &FunctionEndpoints) -> usize {
    match are_the_provider(function) {
        true => usize::try_from(function.replicas).unwrap_or(usize::MAX),
        false => function.endpoints.len(),
    }
}

/// A table that a provider in this process publishes: always current, so there is never anything to ask.
#[derive(Clone, Debug)]
pub struct InProcess(pub watch::Receiver<EndpointTable>);

#[async_trait]
impl Endpoints for InProcess {
    fn table(&self) -> watch::Receiver<EndpointTable> {
        self.0.clone()
    }

    async fn ask(&self, name: &FunctionName) -> Result<bool, client::Error> {
        Ok(self.0.borrow().get(name.as_str()).is_some())
    }
}
