//! Settings of the idler.

use std::path::PathBuf;
use std::time::Duration;

use faas_http::env;
use faas_http::telemetry::{LogFormat, LogLevel};
use url::Url;

faas_http::settings! {
    /// Settings of the idler. Field names are the variable names.
    pub struct Config {
        /// Base URL of the gateway.
        pub gateway_url: Url,
        /// Host of Prometheus.
        pub prometheus_host: String,
        /// Port of Prometheus.
        pub prometheus_port: u16 = "9090",
        /// How long nobody has called a function before it is idle, at least 10s. Its label com.openfaas.scale.zero-duration
        /// replaces it.
        pub inactivity_duration: Duration = "5m",
        /// Pause between two looks.
        pub reconcile_interval: Duration = "30s",
        /// Directory of the files basic-auth-user and basic-auth-password. Without them the gateway is sent none.
        pub secret_mount_path: PathBuf = "/var/secrets/",
        /// Namespace of functions whose series name none.
        pub function_namespace: String = "openfaas-fn",
        /// Whether to log each look at each function.
        pub write_debug: bool = "false",
        /// Whether to log what would be scaled, and scale nothing. The flag -dry-run says the same.
        pub dry_run: bool = "false",
        /// Port of /metrics and /healthz.
        pub metrics_port: u16 = "8081",
        /// Log lines as text or json.
        pub log_format: LogFormat = "text",
        /// Level of the log, or a list of target=level.
        pub log_level: LogLevel = "info",
    }
}

/// Shortest time after which a function is idle: Prometheus sees nothing of what is shorter.
pub(crate) const LEAST: Duration = Duration::from_secs(10);

impl Config {
    /// Reads the process environment. Only `main` calls this.
    ///
    /// # Errors
    /// Every mistake at once.
    pub fn from_env() -> Result<Self, env::Error> {
        env::read_process()
    }

    /// The defaults, before this gateway and for this Prometheus.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn before(gateway: &str, prometheus: &str) -> Result<Self, env::Error> {
        let settings = [("gateway_url", gateway), ("prometheus_host", prometheus)];
        env::read(settings.map(|(name, value)| (name.to_owned(), value.to_owned())))
    }

    /// How long a function has to be idle.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.inactivity_duration.max(LEAST)
    }
}
