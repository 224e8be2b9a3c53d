//! The one trait that a provider implements.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tokio::sync::watch;

use crate::{
    EndpointTable, FunctionDeployment, FunctionName, FunctionNamespace, FunctionStatus, LogMessage,
    LogRequest, ProviderError, ProviderInfo, Secret,
};

/// Log lines as they come. Ends when the source does; dropping it frees everything behind it.
pub type LogStream = BoxStream<'static, LogMessage>;

/// Whether a provider can do its work, in words where it cannot.
pub type Health = Result<(), String>;

/// Runs functions somewhere: in this process, on Docker Swarm, anywhere.
///
/// What a method is given has been checked: names are well formed, quantities parse, scale labels are numbers, no secret
/// is named twice. What only the back-end knows (does the secret exist? is there a program?) is the method's to check,
/// before anything running is touched.
///
/// Every method takes effect before it returns, except that replicas may still be starting;
/// [`FunctionStatus::available_replicas`] tells. A caller who hangs up drops the future.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Who this is.
    fn info(&self) -> ProviderInfo;

    /// Every function with its replicas that can take calls, kept current: a watch, not a question per call.
    ///
    /// Routing to a replica has to end here before it is stopped.
    fn endpoints(&self) -> watch::Receiver<EndpointTable>;

    /// The functions of a namespace, in no particular order.
    async fn list(&self, namespace: &str) -> Result<Vec<FunctionStatus>, ProviderError>;

    /// One function. Resource usage is filled in where `usage` is asked for and known.
    async fn status(
        &self,
        name: &FunctionName,
        usage: bool,
    ) -> Result<FunctionStatus, ProviderError>;

    /// Deploys a function that is not deployed yet.
    async fn deploy(
        &self,
        name: &FunctionName,
        deployment: FunctionDeployment,
    ) -> Result<(), ProviderError>;

    /// Replaces a deployed function, with no call failed; keeps its replicas, raised to the minimum label.
    async fn update(
        &self,
        name: &FunctionName,
        deployment: FunctionDeployment,
    ) -> Result<(), ProviderError>;

    /// Deletes a function; it is gone from [`Provider::list`] when this returns.
    async fn delete(&self, name: &FunctionName) -> Result<(), ProviderError>;

    /// Asks for `replicas` copies. Zero is allowed.
    async fn scale(&self, name: &FunctionName, replicas: u64) -> Result<(), ProviderError>;

    /// The log lines of a function, oldest first; with `follow`, also those to come.
    async fn logs(
        &self,
        _name: &FunctionName,
        _request: LogRequest,
    ) -> Result<LogStream, ProviderError> {
        Err(ProviderError::Unsupported("logs"))
    }

    /// Every namespace; the default one exists whether or not it is among them.
    async fn namespaces(&self) -> Result<Vec<FunctionNamespace>, ProviderError> {
        Ok(Vec::new())
    }

    /// Creates a namespace.
    async fn create_namespace(&self, _namespace: FunctionNamespace) -> Result<(), ProviderError> {
        Err(ProviderError::Unsupported("further namespaces"))
    }

    /// Replaces the labels and annotations of a namespace.
    async fn update_namespace(&self, _namespace: FunctionNamespace) -> Result<(), ProviderError> {
        Err(ProviderError::Unsupported("further namespaces"))
    }

    /// Deletes an empty namespace.
    async fn delete_namespace(&self, _name: &str) -> Result<(), ProviderError> {
        Err(ProviderError::Unsupported("further namespaces"))
    }

    /// The names of the secrets in a namespace, in no particular order.
    async fn secrets(&self, _namespace: &str) -> Result<Vec<String>, ProviderError> {
        Ok(Vec::new())
    }

    /// Keeps a new secret.
    async fn create_secret(&self, _namespace: &str, _secret: Secret) -> Result<(), ProviderError> {
        Err(ProviderError::Unsupported("secrets"))
    }

    /// Replaces the value of a secret; replicas that are started from now on see it.
    async fn update_secret(&self, _namespace: &str, _secret: Secret) -> Result<(), ProviderError> {
        Err(ProviderError::Unsupported("secrets"))
    }

    /// Forgets a secret that no function uses.
    async fn delete_secret(&self, _namespace: &str, _name: &str) -> Result<(), ProviderError> {
        Err(ProviderError::Unsupported("secrets"))
    }

    /// Whether it can do its work now.
    async fn health(&self) -> Health {
        Ok(())
    }
}
