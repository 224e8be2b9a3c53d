//! The provider's trait over records and runners. Every change goes through the ledger, which saves it before it happens.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use faas_provider::{
    EndpointTable, FunctionDeployment, FunctionEndpoints, FunctionName, FunctionNamespace,
    FunctionStatus, LogRequest, LogStream, Meter, Provider, ProviderError, ProviderInfo, Secret,
    VersionInfo, at_least_minimum,
};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::Settings;
use crate::function::{Launch, LogBook, Runner, Tools};
use crate::image_map::ImageMap;
use crate::records::{FunctionRecord, Records};
use crate::usage;

/// Functions as processes on this machine. Cheap to clone.
#[derive(Clone)]
pub struct MemoryProvider(Arc<Inner>);

struct Inner {
    settings: Settings,
    tools: Arc<Tools>,
    meter: Meter,
    runners: Mutex<HashMap<FunctionName, Runner>>,
    /// Functions that are deleted while calls of theirs are in flight.
    leaving: TaskTracker,
}

impl MemoryProvider {
    pub(crate) fn new(settings: Settings, tools: Arc<Tools>) -> Self {
        Self(Arc::new(Inner {
            settings,
            tools,
            meter: Meter::default(),
            runners: Mutex::default(),
            leaving: TaskTracker::new(),
        }))
    }

    /// Starts everything that the records know, then says that the table is complete. A function that cannot run here
    /// any more is kept, and says why in its log.
    pub(crate) fn restore(&self) {
        let functions = self
            .0
            .tools
            .ledger
            .read(|records| records.functions.clone());
        for (name, record) in functions {
            let name = FunctionName::parse(&name, &self.0.settings.default_namespace);
            match self.0.launch(&name, &record) {
                Ok(launch) => self.0.run(name, &record, launch),
                Err(error) => {
                    tracing::error!(function = %name, %error, "a function of the last run cannot run here");
                    // It exists all the same: callers get 503, not 404.
                    let status = self.0.status(&name, &record);
                    self.0
                        .tools
                        .publisher
                        .publish(&name, FunctionEndpoints::of(&status, Vec::new()));
                }
            }
        }
        self.0.tools.publisher.set_complete();
    }

    /// Drains every replica, also of functions that were deleted before; ends when none is left.
    pub(crate) async fn stop(&self) {
        let leaving = &self.0.leaving;
        for (_, runner) in self.0.runners().drain() {
            leaving.spawn(runner.stop());
        }
        leaving.close();
        leaving.wait().await;
    }

    /// Makes a change that goes on to its end even if the caller hangs up in the middle.
    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Inner, &mut Records) -> Result<T, ProviderError> + Send + 'static,
        then: impl FnOnce(&Inner, T) + Send + 'static,
    ) -> Result<(), ProviderError> {
        let inner = Arc::clone(&self.0);
        let task = tokio::spawn(async move {
            let ledger = &inner.tools.ledger;
            ledger
                .change(
                    |records| change(&inner, records),
                    |changed| then(&inner, changed),
                )
                .await
        });
        task.await.map_err(ProviderError::backend)?
    }
}

impl MemoryProvider {
    /// A change that only the records need to know of.
    async fn note(
        &self,
        change: impl FnOnce(&mut Records) -> Result<(), ProviderError> + Send + 'static,
    ) -> Result<(), ProviderError> {
        self.change(move |_, records| change(records), |_, ()| ())
            .await
    }
}

impl Inner {
    fn runners(&self) -> MutexGuard<'_, HashMap<FunctionName, Runner>> {
        self.runners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks up what it takes to run a deployment; the image map is read anew, so that it can be edited at any time.
    fn launch(
        &self,
        name: &FunctionName,
        record: &FunctionRecord,
    ) -> Result<Launch, ProviderError> {
        let images = match &self.settings.image_map {
            Some(path) => ImageMap::read(path).map_err(ProviderError::Unavailable)?,
            None => ImageMap::default(),
        };
        let launch = Launch::prepare(
            name,
            record,
            &images,
            &self.settings.functions_dir,
            self.tools.sandbox.capabilities(),
        )?;
        let directory = launch.directory();
        let shown = |known: &PathBuf| directory.starts_with(known);
        let mut known =
            std::iter::once(&self.settings.functions_dir).chain(&self.settings.image_dirs);
        if known.any(shown) {
            return Ok(launch);
        }
        let reason = format!(
            "image_map came to name {} while the provider runs; restart it to show the directory to functions",
            directory.display()
        );
        Err(ProviderError::invalid("image", reason))
    }

    fn run(&self, name: FunctionName, record: &FunctionRecord, launch: Launch) {
        let runner = Runner::start(name.clone(), record, launch, Arc::clone(&self.tools));
        self.runners().insert(name, runner);
    }

    fn status(&self, name: &FunctionName, record: &FunctionRecord) -> FunctionStatus {
        let available = self.runners().get(name).map_or(0, Runner::available);
        FunctionStatus {
            replicas: record.replicas,
            available_replicas: available.min(record.replicas),
            created_at: Some(record.created_at),
            ..FunctionStatus::of(name, &record.deployment)
        }
    }
}

#[async_trait]
impl Provider for MemoryProvider {
    fn info(&self) -> ProviderInfo {
        ProviderInfo {
            provider: "provider-memory".to_owned(),
            orchestration: "processes".to_owned(),
            version: VersionInfo::of_release(env!("CARGO_PKG_VERSION")),
        }
    }

    fn endpoints(&self) -> watch::Receiver<EndpointTable> {
        self.0.tools.publisher.watch()
    }

    async fn list(&self, namespace: &str) -> Result<Vec<FunctionStatus>, ProviderError> {
        self.0.tools.ledger.read(|records| {
            records.namespace(namespace)?;
            let default = &self.0.settings.default_namespace;
            let named = records
                .functions
                .iter()
                .map(|(name, record)| (FunctionName::parse(name, default), record));
            let here = named.filter(|(name, _)| name.namespace() == namespace);
            Ok(here
                .map(|(name, record)| self.0.status(&name, record))
                .collect())
        })
    }

    async fn status(
        &self,
        name: &FunctionName,
        wants_usage: bool,
    ) -> Result<FunctionStatus, ProviderError> {
        let inner = &self.0;
        let status = |records: &Records| Ok(inner.status(name, records.function(name)?));
        let mut status = inner.tools.ledger.read(status)?;
        let running = inner.runners().get(name).map(|one| one.running().clone());
        if let Some(running) = running.filter(|_| wants_usage) {
            let measure = usage::measure(Arc::clone(&inner.tools), running);
            status.usage = inner.meter.usage(name.as_str(), measure).await;
        }
        Ok(status)
    }

    async fn deploy(
        &self,
        name: &FunctionName,
        deployment: FunctionDeployment,
    ) -> Result<(), ProviderError> {
        let name = name.clone();
        let change = move |inner: &Inner, records: &mut Records| {
            records.have_namespace(name.namespace())?;
            if records.functions.contains_key(name.as_str()) {
                return Err(ProviderError::AlreadyExists(format!("function {name}")));
            }
            records.have_secrets(name.namespace(), &deployment.secrets)?;
            let record = FunctionRecord {
                replicas: at_least_minimum(&deployment, 1),
                created_at: OffsetDateTime::now_utc(),
                uid: records.free_uid(),
                deployment,
            };
            let launch = inner.launch(&name, &record)?;
            records.functions.insert(name.to_string(), record.clone());
            Ok((name, record, launch))
        };
        self.change(change, |inner, (name, record, launch)| {
            inner.run(name, &record, launch);
        })
        .await
    }

    async fn update(
        &self,
        name: &FunctionName,
        deployment: FunctionDeployment,
    ) -> Result<(), ProviderError> {
        let name = name.clone();
        let change = move |inner: &Inner, records: &mut Records| {
            let old = records.function(&name)?;
            records.have_secrets(name.namespace(), &deployment.secrets)?;
            let record = FunctionRecord {
                replicas: at_least_minimum(&deployment, old.replicas),
                created_at: old.created_at,
                uid: old.uid,
                deployment,
            };
            let launch = inner.launch(&name, &record)?;
            records.functions.insert(name.to_string(), record.clone());
            Ok((name, record, launch))
        };
        let then =
            |inner: &Inner, (name, record, launch): (FunctionName, FunctionRecord, Launch)| {
                if let Some(runner) = inner.runners().get(&name) {
                    runner.update(&record, launch);
                    return;
                }
                inner.run(name, &record, launch);
            };
        self.change(change, then).await
    }

    async fn delete(&self, name: &FunctionName) -> Result<(), ProviderError> {
        let name = name.clone();
        let change = move |_: &Inner, records: &mut Records| {
            records.function(&name)?;
            records.functions.remove(name.as_str());
            Ok(name)
        };
        let then = |inner: &Inner, name: FunctionName| {
            let runner = inner.runners().remove(&name);
            // The replicas drain on their own; only the provider's end waits for them.
            if let Some(runner) = runner {
                inner.leaving.spawn(runner.stop());
            }
        };
        self.change(change, then).await
    }

    async fn scale(&self, name: &FunctionName, replicas: u64) -> Result<(), ProviderError> {
        let name = name.clone();
        let change = move |inner: &Inner, records: &mut Records| {
            let mut record = records.function(&name)?.clone();
            record.replicas = replicas;
            // A pinned port may allow one replica only.
            let launch = inner.launch(&name, &record)?;
            records.functions.insert(name.to_string(), record.clone());
            Ok((name, record, launch))
        };
        let then =
            |inner: &Inner, (name, record, launch): (FunctionName, FunctionRecord, Launch)| {
                if let Some(runner) = inner.runners().get(&name) {
                    runner.scale(record.replicas);
                    return;
                }
                // It could not run when it was restored, and can now.
                inner.run(name, &record, launch);
            };
        self.change(change, then).await
    }

    async fn logs(
        &self,
        name: &FunctionName,
        request: LogRequest,
    ) -> Result<LogStream, ProviderError> {
        let ledger = &self.0.tools.ledger;
        let record = ledger.read(|records| records.function(name).cloned())?;
        if let Some(runner) = self.0.runners().get(name) {
            return Ok(runner.log().read(&request));
        }
        match self.0.launch(name, &record) {
            Ok(_) => Err(ProviderError::NotReady(name.clone())),
            Err(reason) => {
                let book = LogBook::new(name.clone());
                book.write("provider", format!("cannot run here: {reason}"));
                Ok(book.read(&request))
            }
        }
    }

    async fn namespaces(&self) -> Result<Vec<FunctionNamespace>, ProviderError> {
        Ok(self
            .0
            .tools
            .ledger
            .read(|records| records.namespaces.values().cloned().collect()))
    }

    async fn create_namespace(&self, namespace: FunctionNamespace) -> Result<(), ProviderError> {
        self.note(|records| records.create_namespace(namespace))
            .await
    }

    async fn update_namespace(&self, namespace: FunctionNamespace) -> Result<(), ProviderError> {
        self.note(|records| records.update_namespace(namespace))
            .await
    }

    async fn delete_namespace(&self, name: &str) -> Result<(), ProviderError> {
        let default = self.0.settings.default_namespace.clone();
        let name = name.to_owned();
        self.note(move |records| records.delete_namespace(&name, &default))
            .await
    }

    async fn secrets(&self, namespace: &str) -> Result<Vec<String>, ProviderError> {
        self.0.tools.ledger.read(|records| {
            records.namespace(namespace)?;
            Ok(records
                .secrets
                .get(namespace)
                .map(|secrets| secrets.keys().cloned().collect())
                .unwrap_or_default())
        })
    }

    async fn create_secret(&self, namespace: &str, secret: Secret) -> Result<(), ProviderError> {
        let namespace = namespace.to_owned();
        self.note(|records| records.create_secret(namespace, secret))
            .await
    }

    async fn update_secret(&self, namespace: &str, secret: Secret) -> Result<(), ProviderError> {
        let namespace = namespace.to_owned();
        self.note(|records| records.update_secret(namespace, secret))
            .await
    }

    async fn delete_secret(&self, namespace: &str, name: &str) -> Result<(), ProviderError> {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        self.note(|records| records.delete_secret(namespace, name))
            .await
    }
}
