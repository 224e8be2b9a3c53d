//! Settings of the whole stack; each service is given its part.

use std::path::PathBuf;
use std::time::Duration;

use faas_http::env;
use faas_http::telemetry::{LogFormat, LogLevel};

faas_http::settings! {
    /// Settings of faas-local. Field names are the variable names.
    pub struct Config {
        /// Port of the API, on loopback.
        pub port: u16 = "8080",
        /// Port of /metrics, /healthz (alive) and /readyz, on loopback.
        pub metrics_port: u16 = "8082",
        /// Directory that keeps functions, namespaces and secrets. ~/.local/state/ferrofaas if unset.
        pub data_dir: Option<PathBuf>,
        /// Directory that functions see, read-only at its own path, and start in. The current one if unset.
        pub functions_dir: Option<PathBuf>,
        /// TOML file that gives images a program: reference to command, environment, directory.
        pub image_map: Option<PathBuf>,
        /// Namespace of functions that name none.
        pub function_namespace: String = "openfaas-fn",
        /// Most replicas that a function can be asked to have.
        pub max_replicas: u64 = "100",
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
