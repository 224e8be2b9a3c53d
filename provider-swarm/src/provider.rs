//! The provider's trait over the engine. The swarm is the only store: every answer is what the engine says now.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use faas_provider::{
    EndpointTable, FunctionDeployment, FunctionName, FunctionNamespace, FunctionStatus, Health,
    LogRequest, LogStream, Meter, Provider, ProviderError, ProviderInfo, Secret, at_least_minimum,
};
use http::HeaderValue;
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::engine::{Engine, Error, Service, rfc3339};
use crate::secrets::Sweeper;
use crate::services::{self, Found, refused};
use crate::spec::{MountedSecret, Plan, set_replicas};
use crate::watch::Watch;
use crate::{logs, names, namespaces, network, record, registry, secrets, usage};

/// How long replicas are left alone once calls are no longer routed to them: those that were on their way arrive before
/// the engine stops them. A gateway elsewhere hears of it in this time.
const ROUTING_GRACE: Duration = Duration::from_millis(250);

/// Functions as services of a Docker Swarm.
pub(crate) struct SwarmProvider(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: Arc<Engine>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) sweeper: Sweeper,
    pub(crate) meter: Meter,
    pub(crate) settings: Settings,
}

/// What the provider needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) default_namespace: String,
    pub(crate) network: Option<String>,
    pub(crate) registry_config: Option<PathBuf>,
}

/// What a deployment is made of, all of it found.
struct Parts {
    network: String,
    secrets: Vec<MountedSecret>,
    auth: Option<HeaderValue>,
}

impl Parts {
    fn plan<'a>(
        &'a self,
        name: &'a FunctionName,
        service: &'a str,
        deployment: &'a FunctionDeployment,
    ) -> Plan<'a> {
        Plan {
            name,
            service,
            deployment,
            network: &self.network,
            secrets: &self.secrets,
        }
    }
}

impl SwarmProvider {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self(inner)
    }
}

impl Inner {
    fn service_name(&self, name: &FunctionName) -> Result<String, ProviderError> {
        names::service(name, &self.settings.default_namespace)
    }

    /// A function's service. A name that no service can have is no function's.
    async fn find(&self, name: &FunctionName) -> Result<Found, ProviderError> {
        let missing = || ProviderError::NotFound(name.clone());
        let service = self.service_name(name).map_err(|_| missing())?;
        services::find(&self.engine, &service, name)
            .await?
            .ok_or_else(missing)
    }

    /// Looks everything up that a deployment names, before anything is touched.
    async fn parts(
        &self,
        name: &FunctionName,
        wish: &FunctionDeployment,
    ) -> Result<Parts, ProviderError> {
        record::check(wish)?;
        let configured = self.settings.network.as_deref();
        let network = match wish.network.as_str() {
            "" => network::functions(&self.engine, configured).await?,
            asked => network::requested(&self.engine, asked, configured).await?,
        };
        Ok(Parts {
            network: network.id,
            secrets: secrets::mounted(&self.engine, name.namespace(), &wish.secrets).await?,
            auth: registry::header(wish, self.settings.registry_config.as_deref()).await?,
        })
    }

    /// Whose service stands in the way of a deployment.
    async fn taken(&self, name: &FunctionName, service: &str) -> ProviderError {
        match services::find(&self.engine, service, name).await {
            Ok(Some(_)) => ProviderError::AlreadyExists(format!("function {name}")),
            Ok(None) => ProviderError::InUse(format!(
                "the swarm has a service `{service}` that is no function of this platform"
            )),
            Err(error) => error.into(),
        }
    }

    /// Asks the image's registry in the background, so that a pull that fails is told with its reason. An image that is on
    /// the nodes already runs whatever the registry says.
    fn ask_registry(self: &Arc<Self>, name: &FunctionName, image: &str, auth: Option<HeaderValue>) {
        self.watch.explain(name, None);
        let path = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/@-".contains(&byte);
        if !image.bytes().all(path) {
            return;
        }
        let (inner, name, image) = (Arc::clone(self), name.clone(), image.to_owned());
        tokio::spawn(async move {
            let Err(error) = inner.engine.ask_registry(&image, auth.as_ref()).await else {
                return;
            };
            if let Error::Answered { message, .. } = error {
                inner.watch.explain(&name, Some(message));
            }
        });
    }

    async fn set_replicas(&self, name: &FunctionName, replicas: u64) -> Result<(), ProviderError> {
        let service = self
            .service_name(name)
            .map_err(|_| ProviderError::NotFound(name.clone()))?;
        let change = |spec: &mut Map<String, Value>, _: &Service| {
            set_replicas(spec, replicas);
            Ok(())
        };
        services::change(&self.engine, &service, name, None, change).await
    }

    fn status(&self, service: &Service) -> Option<FunctionStatus> {
        let name = record::function(service)?;
        let deployment = record::deployment(service).unwrap_or_else(|| {
            tracing::warn!(function = %name, "the service's record cannot be read");
            FunctionDeployment::default()
        });
        let view = self.watch.view(&name);
        let replicas = service.replicas();
        Some(FunctionStatus {
            replicas,
            available_replicas: view.ready.min(replicas),
            created_at: Some(rfc3339(&service.created_at)),
            problem: view.problem.unwrap_or_default(),
            ..FunctionStatus::of(&name, &deployment)
        })
    }
}

#[async_trait]
impl Provider for SwarmProvider {
    fn info(&self) -> ProviderInfo {
        ProviderInfo::new("provider-swarm", "swarm", env!("CARGO_PKG_VERSION"))
    }

    fn endpoints(&self) -> watch::Receiver<EndpointTable> {
        self.0.watch.endpoints()
    }

    async fn list(&self, namespace: &str) -> Result<Vec<FunctionStatus>, ProviderError> {
        let inner = &self.0;
        namespaces::have(&inner.engine, namespace, &inner.settings.default_namespace).await?;
        let within = Some((record::NAMESPACE, namespace));
        let services = services::list(&inner.engine, within).await?;
        Ok(services
            .iter()
            .filter_map(|service| inner.status(service))
            .collect())
    }

    async fn status(
        &self,
        name: &FunctionName,
        wants_usage: bool,
    ) -> Result<FunctionStatus, ProviderError> {
        let inner = &self.0;
        let found = inner.find(name).await?;
        let status = inner.status(&found.service);
        let mut status = status.ok_or_else(|| ProviderError::NotFound(name.clone()))?;
        if wants_usage {
            let service = &found.service.id;
            let measure = usage::measure(&inner.engine, service);
            status.usage = inner.meter.usage(service, measure).await;
        }
        Ok(status)
    }

    async fn deploy(
        &self,
        name: &FunctionName,
        wish: FunctionDeployment,
    ) -> Result<(), ProviderError> {
        let inner = &self.0;
        let service = inner.service_name(name)?;
        namespaces::given(
            &inner.engine,
            name.namespace(),
            &inner.settings.default_namespace,
        )
        .await?;
        let parts = inner.parts(name, &wish).await?;
        let plan = parts.plan(name, &service, &wish);
        let mut spec = Map::new();
        plan.write(&mut spec)?;
        set_replicas(&mut spec, at_least_minimum(&wish, 1));
        let spec = Value::Object(spec);
        let created = inner
            .engine
            .post("/services/create", &[], &spec, parts.auth.as_ref())
            .await;
        match created {
            Ok(_) => {}
            Err(error) if error.status() == Some(409) => {
                return Err(inner.taken(name, &service).await);
            }
            Err(error) => return Err(refused(error)),
        }
        inner.ask_registry(name, &wish.image, parts.auth);
        inner.watch.refresh().await;
        Ok(())
    }

    async fn update(
        &self,
        name: &FunctionName,
        wish: FunctionDeployment,
    ) -> Result<(), ProviderError> {
        let inner = &self.0;
        // 404 before anything else: clients then deploy.
        inner.find(name).await?;
        let service = inner.service_name(name)?;
        let parts = inner.parts(name, &wish).await?;
        let plan = parts.plan(name, &service, &wish);
        let change = |spec: &mut Map<String, Value>, before: &Service| {
            plan.write(spec)?;
            set_replicas(spec, at_least_minimum(&wish, before.replicas()));
            Ok(())
        };
        services::change(&inner.engine, &service, name, parts.auth.as_ref(), change).await?;
        inner.ask_registry(name, &wish.image, parts.auth);
        inner.watch.refresh().await;
        Ok(())
    }

    /// Calls are routed elsewhere first, then the engine stops the replicas, which drain.
    async fn delete(&self, name: &FunctionName) -> Result<(), ProviderError> {
        let inner = &self.0;
        let found = inner.find(name).await?;
        let (_withheld, routed) = inner.watch.withhold(name);
        if routed {
            sleep(ROUTING_GRACE).await;
        }
        match inner
            .engine
            .delete(&format!("/services/{}", found.service.id))
            .await
        {
            Ok(()) => {}
            Err(error) if error.status() == Some(404) => {
                return Err(ProviderError::NotFound(name.clone()));
            }
            Err(error) => return Err(error.into()),
        }
        inner.watch.explain(name, None);
        inner.watch.refresh().await;
        Ok(())
    }

    /// To zero, routing ends first. Which of several replicas stop is Swarm's choice, so of those it is told by their
    /// tasks, at once.
    async fn scale(&self, name: &FunctionName, replicas: u64) -> Result<(), ProviderError> {
        let inner = &self.0;
        let _withheld = match replicas {
            0 => {
                inner.find(name).await?;
                let (withheld, routed) = inner.watch.withhold(name);
                if routed {
                    sleep(ROUTING_GRACE).await;
                }
                Some(withheld)
            }
            _ => None,
        };
        inner.set_replicas(name, replicas).await?;
        inner.watch.refresh().await;
        Ok(())
    }

    async fn logs(
        &self,
        name: &FunctionName,
        request: LogRequest,
    ) -> Result<LogStream, ProviderError> {
        let found = self.0.find(name).await?;
        let views = self.0.watch.views();
        let source = logs::Source {
            engine: &self.0.engine,
            service: &found.service,
            reason: self.0.watch.reason(name),
        };
        logs::read(source, name, request, views).await
    }

    async fn namespaces(&self) -> Result<Vec<FunctionNamespace>, ProviderError> {
        namespaces::list(&self.0.engine).await
    }

    async fn create_namespace(&self, namespace: FunctionNamespace) -> Result<(), ProviderError> {
        namespaces::create(
            &self.0.engine,
            namespace,
            &self.0.settings.default_namespace,
        )
        .await
    }

    async fn update_namespace(&self, namespace: FunctionNamespace) -> Result<(), ProviderError> {
        namespaces::update(
            &self.0.engine,
            &namespace,
            &self.0.settings.default_namespace,
        )
        .await
    }

    async fn delete_namespace(&self, name: &str) -> Result<(), ProviderError> {
        namespaces::delete(&self.0.engine, name, &self.0.settings.default_namespace).await
    }

    async fn secrets(&self, namespace: &str) -> Result<Vec<String>, ProviderError> {
        let inner = &self.0;
        namespaces::have(&inner.engine, namespace, &inner.settings.default_namespace).await?;
        secrets::list(&inner.engine, namespace).await
    }

    async fn create_secret(&self, namespace: &str, secret: Secret) -> Result<(), ProviderError> {
        let inner = &self.0;
        let default = &inner.settings.default_namespace;
        namespaces::given(&inner.engine, namespace, default).await?;
        secrets::create(&inner.engine, namespace, &secret, default).await
    }

    /// Goes on to its end even if the caller hangs up in the middle: half of the functions would have the new value.
    async fn update_secret(&self, namespace: &str, secret: Secret) -> Result<(), ProviderError> {
        let (inner, namespace) = (Arc::clone(&self.0), namespace.to_owned());
        let task = tokio::spawn(async move {
            let default = &inner.settings.default_namespace;
            let updated = secrets::update(&inner.engine, &namespace, &secret, default).await;
            inner.sweeper.wake();
            updated
        });
        task.await.map_err(ProviderError::backend)?
    }

    async fn delete_secret(&self, namespace: &str, name: &str) -> Result<(), ProviderError> {
        secrets::delete(&self.0.engine, namespace, name).await
    }

    async fn health(&self) -> Health {
        self.0.watch.health()
    }
}
