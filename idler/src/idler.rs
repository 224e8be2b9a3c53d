//! Looks at every function, and scales to zero those that are idle.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::time::Duration;

use ::prometheus::Registry;
use faas_http::auth::Credentials;
use faas_http::duration;
use faas_provider::{Client, FunctionName, FunctionStatus, client};
use http::StatusCode;
use tokio::time::{Instant, sleep};
use url::Url;

use crate::config::{Config, LEAST};
use crate::metrics::Metrics;
use crate::prometheus::{self, Prometheus};
use crate::seen::{Seen, Verdict, may_sleep};

/// How often a function may still have replicas after it was asked to have none, and how long it is left alone then.
const ATTEMPTS: u32 = 3;
const LEFT_ALONE: Duration = Duration::from_secs(3600);

/// How long a function is idle before it may sleep, where it says so: a Go duration.
const ZERO_DURATION_LABEL: &str = "com.openfaas.scale.zero-duration";

/// Why the idler cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting cannot be followed.
    #[error("{0}")]
    Setting(String),
    /// The port cannot be taken.
    #[error(transparent)]
    Port(std::io::Error),
}

/// Why a look was broken off. The next one comes all the same.
#[derive(Debug, thiserror::Error)]
enum PassError {
    #[error("the gateway: {0}")]
    Gateway(#[from] client::Error),
    #[error(transparent)]
    Prometheus(#[from] prometheus::Error),
    #[error("the gateway was started less than {0} ago: nobody knows what was called before")]
    TooYoung(String),
}

/// Scales idle functions to zero.
pub struct Idler {
    config: Config,
    gateway: Client,
    prometheus: Prometheus,
    pub(crate) metrics: Metrics,
    functions: HashMap<FunctionName, Known>,
}

/// What is remembered of a function from look to look.
struct Known {
    first_seen: Instant,
    /// How often it was asked to have no replicas, and had some at the next look.
    refused: u32,
    left_alone_until: Option<Instant>,
}

impl Idler {
    /// Reads the credentials; asks nobody anything yet.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn new(config: Config) -> Result<Self, StartError> {
        let credentials = Credentials::from_files(&config.secret_mount_path);
        if let Err(error) = &credentials {
            tracing::warn!("the gateway is sent no credentials: secret_mount_path: {error}");
        }
        Self::counting_in(config, credentials.ok().as_ref(), &Registry::new())
    }

    /// With credentials that somebody else has read, and series on somebody else's page.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn counting_in(
        config: Config,
        credentials: Option<&Credentials>,
        series: &Registry,
    ) -> Result<Self, StartError> {
        let setting = |error: String| StartError::Setting(error);
        let pair = credentials.map(Credentials::pair);
        let gateway = Client::new(config.gateway_url.clone(), pair.as_ref());
        let place = format!(
            "http://{}:{}",
            config.prometheus_host, config.prometheus_port
        );
        let url =
            Url::parse(&place).map_err(|error| setting(format!("prometheus_host: {error}")))?;
        if config.inactivity_duration < config.window() {
            let least = duration::format(config.window());
            tracing::warn!("inactivity_duration: less than {least} counts as {least}");
        }
        Ok(Self {
            gateway: gateway.map_err(|error| setting(error.to_string()))?,
            prometheus: Prometheus::at(url).map_err(|error| setting(error.to_string()))?,
            metrics: Metrics::new(series).map_err(|error| setting(error.to_string()))?,
            functions: HashMap::new(),
            config,
        })
    }

    /// Looks again and again until `shutdown` ends.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                passed = self.pass() => if let Err(error) = passed {
                    tracing::warn!("nothing is scaled this time: {error}");
                }
            }
            tokio::select! {
                () = &mut shutdown => return,
                () = sleep(self.config.reconcile_interval) => {}
            }
        }
    }

    /// One look at all functions.
    async fn pass(&mut self) -> Result<(), PassError> {
        self.metrics.passes.inc();
        let functions = self.list().await?;
        let window = self.config.window();
        if let Some(age) = self.prometheus.gateway_age().await?
            && age < window.as_secs_f64()
        {
            return Err(PassError::TooYoung(duration::format(window)));
        }
        let mut looks = HashMap::new();
        let now = Instant::now();
        self.functions
            .retain(|name, _| functions.iter().any(|(known, _)| known == name));
        for (name, status) in functions {
            let window = self.window_of(&status);
            let seen = match looks.entry(window) {
                Entry::Occupied(look) => look.into_mut(),
                Entry::Vacant(none) => none.insert(self.prometheus.look(window).await?),
            };
            let verdict = self.judge(now, &name, &status, window, seen);
            self.act(&name, verdict, window).await?;
        }
        Ok(())
    }

    /// Every function of every namespace. A gateway that knows no namespaces has the default one.
    async fn list(&self) -> Result<Vec<(FunctionName, FunctionStatus)>, PassError> {
        let default = &self.config.function_namespace;
        let namespaces = match self.gateway.namespaces().await {
            Ok(namespaces) if !namespaces.is_empty() => namespaces,
            Err(error @ client::Error::Transport(_)) => return Err(error.into()),
            Err(
                error @ client::Error::Refused {
                    status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN,
                    ..
                },
            ) => return Err(error.into()),
            Ok(_) | Err(_) => vec![default.clone()],
        };
        let mut all = Vec::new();
        for namespace in namespaces {
            for status in self.gateway.list(&namespace).await? {
                let namespace = match status.namespace.as_str() {
                    "" => default,
                    namespace => namespace,
                };
                all.push((FunctionName::new(&status.name, namespace), status));
            }
        }
        Ok(all)
    }

    fn window_of(&self, status: &FunctionStatus) -> Duration {
        let labels = status.labels.as_ref();
        let own = labels.and_then(|labels| labels.get(ZERO_DURATION_LABEL));
        let own = own.and_then(|text| duration::parse(text).ok());
        own.map_or(self.config.window(), |own| own.max(LEAST))
    }

    fn judge(
        &mut self,
        now: Instant,
        name: &FunctionName,
        status: &FunctionStatus,
        window: Duration,
        seen: &Seen,
    ) -> Verdict {
        let known = self.functions.entry(name.clone()).or_insert(Known {
            first_seen: now,
            refused: 0,
            left_alone_until: None,
        });
        if status.replicas == 0 && status.available_replicas == 0 {
            known.refused = 0;
            return Verdict::Asleep;
        }
        if !may_sleep(status) {
            return Verdict::NoLeave;
        }
        if known.left_alone_until.is_some_and(|until| now < until) {
            return Verdict::Refused;
        }
        if known.first_seen + window > now || created_within(status, window) {
            return Verdict::Young;
        }
        seen.judge(name, &self.config.function_namespace, window)
    }

    async fn act(
        &mut self,
        name: &FunctionName,
        verdict: Verdict,
        window: Duration,
    ) -> Result<(), PassError> {
        if self.config.write_debug {
            tracing::info!(function = %name, verdict = verdict.word(), "looked at");
        }
        if verdict != Verdict::Idle {
            self.metrics.skipped(verdict);
            return Ok(());
        }
        let idle = duration::format(window);
        if self.config.dry_run {
            tracing::info!(function = %name, "would be scaled to zero: nobody has called it for {idle}");
            return Ok(());
        }
        if self.is_refused(name) {
            self.metrics.skipped(Verdict::Refused);
            return Ok(());
        }
        match self.gateway.scale_if_idle(name, 0, window).await {
            Ok(()) => {
                tracing::info!(function = %name, "scaled to zero: nobody has called it for {idle}");
                self.metrics.scaled(name);
                Ok(())
            }
            // It was called meanwhile.
            Err(client::Error::Refused { status, .. })
                if status == StatusCode::PRECONDITION_FAILED =>
            {
                self.forgive(name);
                self.metrics.skipped(Verdict::Called);
                Ok(())
            }
            Err(error @ client::Error::Refused { status, .. })
                if status == StatusCode::UNAUTHORIZED =>
            {
                Err(error.into())
            }
            Err(error) => {
                tracing::warn!(function = %name, %error, "not scaled to zero");
                Ok(())
            }
        }
    }

    /// Counts that the function is to be asked once more. Whether it was often enough already.
    fn is_refused(&mut self, name: &FunctionName) -> bool {
        let Some(known) = self.functions.get_mut(name) else {
            return false;
        };
        known.refused += 1;
        if known.refused <= ATTEMPTS {
            return false;
        }
        known.refused = 0;
        known.left_alone_until = Some(Instant::now() + LEFT_ALONE);
        let alone = duration::format(LEFT_ALONE);
        tracing::warn!(function = %name, "the gateway does not scale it to zero, asked {ATTEMPTS} times; it is left alone for {alone}");
        true
    }

    fn forgive(&mut self, name: &FunctionName) {
        if let Some(known) = self.functions.get_mut(name) {
            known.refused = 0;
        }
    }
}

/// Whether it was deployed less than a window ago, where its status says when it was.
fn created_within(status: &FunctionStatus, window: Duration) -> bool {
    let created = status.created_at.map(std::time::SystemTime::from);
    let age = created.and_then(|created| created.elapsed().ok());
    age.is_some_and(|age| age < window)
}
