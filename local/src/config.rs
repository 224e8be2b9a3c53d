//! Settings of the whole stack; each service is given its part.

use std::path::PathBuf;
use std::time::Duration;

use faas_http::env;
use faas_http::telemetry::{LogFormat, LogLevel};
use faas_queue_worker::{Codes, Waits};

faas_http::settings! {
    /// Settings of faas-local. Field names are the variable names.
    pub struct Config {
        /// Port of the API, on loopback.
        pub port: u16 = "8080",
        /// Port of /metrics, /healthz (alive) and /readyz, on loopback.
        pub metrics_port: u16 = "8082",
        /// Directory that keeps functions, namespaces, secrets and asynchronous calls. ~/.local/state/ferrofaas if unset.
        pub data_dir: Option<PathBuf>,
        /// Directory that functions see, read-only at its own path, and start in. The current one if unset.
        pub functions_dir: Option<PathBuf>,
        /// TOML file that gives images a program: reference to command, environment, directory.
        pub image_map: Option<PathBuf>,
        /// Namespace of functions that name none.
        pub function_namespace: String = "openfaas-fn",
        /// Most replicas that a function can be asked to have.
        pub max_replicas: u64 = "100",
        /// Most replicas that are kept paused, of all functions with the label com.openfaas.scale.zero-pause that are at zero. 0
        /// is none.
        pub paused_replicas: usize = "10",
        /// Longest time for which one is kept. 0 is no limit.
        pub paused_time: Duration = "1h",
        /// Longest time for a request's headers to arrive, and for its body to be silent. 0 is no limit.
        pub read_timeout: Duration = "60s",
        /// Longest time that calls in flight get when the stack stops. 0 is no limit.
        pub write_timeout: Duration = "60s",
        /// Longest wait for a function to begin its answer. 0 is no limit. A function's annotation com.openfaas.timeout
        /// replaces it.
        pub upstream_timeout: Duration = "60s",
        /// Whether a call may scale a function up from zero.
        pub scale_from_zero: bool = "true",
        /// Longest wait of a call for a replica to be ready.
        pub scale_from_zero_timeout: Duration = "30s",
        /// Most asynchronous calls made at once.
        pub max_inflight: usize = "50",
        /// Most retries of an asynchronous call. A function's annotation com.openfaas.retry.attempts replaces it.
        pub max_retry_attempts: u32 = "10",
        /// Wait before its first retry; doubled for each further one. Annotation com.openfaas.retry.min_wait.
        pub initial_retry_wait: Duration = "10s",
        /// Longest wait before a retry. Annotation com.openfaas.retry.max_wait.
        pub max_retry_wait: Duration = "120s",
        /// Statuses that are retried. 400, 401, 404 and 413 never are. Annotation com.openfaas.retry.codes.
        pub retry_http_codes: Codes = "408,429,500,502,503,504",
        /// Age at which an asynchronous call is given up, and longest time by which it may be put off.
        pub max_message_age: Duration = "24h",
        /// Largest body of an asynchronous call, in bytes.
        pub async_max_body_bytes: usize = "67108864",
        /// How long the end of an asynchronous call is known, and its answer kept where that was asked for.
        pub async_result_ttl: Duration = "1h",
        /// Waits before a callback is posted again, each a fifth more or less; after the last it is a dead letter.
        pub callback_retry_waits: Waits = "5s,30s,2m,10m,1h,6h",
        /// Host of a Prometheus that scrapes metrics_port. With it functions whose labels allow it are scaled to zero by what it
        /// has seen, too: as faas-idler does.
        pub prometheus_host: Option<String>,
        /// Port of Prometheus.
        pub prometheus_port: u16 = "9090",
        /// How long Prometheus has to have seen no call of a function, at least 10s. Its label
        /// com.openfaas.scale.zero-duration replaces it.
        pub inactivity_duration: Duration = "5m",
        /// Pause between two looks at what Prometheus has seen.
        pub reconcile_interval: Duration = "30s",
        /// Whether to log each of these looks at each function.
        pub write_debug: bool = "false",
        /// Whether to log what would be scaled by what Prometheus has seen, and scale nothing.
        pub dry_run: bool = "false",
        /// Whether /system wants the credentials in secret_mount_path.
        pub basic_auth: bool = "false",
        /// Directory of the files basic-auth-user and basic-auth-password.
        pub secret_mount_path: PathBuf = "/run/secrets",
        /// Log lines as text or json.
        pub log_format: LogFormat = "text",
        /// Level of the log, or a list of target=level.
        pub log_level: LogLevel = "info",
    }
}

impl Config {
    /// Reads the process environment. Only `main` calls this.
    ///
    /// # Errors
    /// Every mistake at once.
    pub fn from_env() -> Result<Self, env::Error> {
        env::read_process()
    }

    /// Where the state is kept: `data_dir`, or the user's state directory; `None` where there is no home directory.
    pub(crate) fn state_dir(&self) -> Option<PathBuf> {
        let of_home = || Some(std::env::home_dir()?.join(".local/state/ferrofaas"));
        self.data_dir.clone().or_else(of_home)
    }
}
