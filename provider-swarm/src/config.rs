//! Settings of the provider.

use std::path::PathBuf;
use std::time::Duration;

use faas_http::env;
use faas_http::telemetry::{LogFormat, LogLevel};

use crate::engine::{ApiVersion, DockerHost};

faas_http::settings! {
    /// Settings of provider-swarm. Field names are the variable names.
    #[allow(non_snake_case, reason = "what the Docker client calls them")]
    pub struct Config {
        /// Port of the provider API.
        pub port: u16 = "8080",
        /// Where the engine of a Swarm manager listens. There is no TLS: put a socket proxy in front for another machine.
        pub DOCKER_HOST: DockerHost = "unix:///var/run/docker.sock",
        /// Version of the engine's API. The highest one that both sides speak if unset.
        pub DOCKER_API_VERSION: Option<ApiVersion>,
        /// Longest time of one call of the engine. 0 is no limit.
        pub engine_timeout: Duration = "10s",
        /// Name of the overlay network that functions are on; the provider has to be on it too. The only one with the
        /// label openfaas=true if unset.
        pub functions_network: Option<String>,
        /// Docker client configuration (config.json) with the credentials of image registries, read at every deployment.
        pub registry_config: Option<PathBuf>,
        /// Namespace of functions that name none.
        pub function_namespace: String = "openfaas-fn",
        /// Most replicas that a function can be asked to have.
        pub max_replicas: u64 = "100",
        /// Longest wait for a function to begin its answer, and for a request to arrive. 0 is no limit.
        pub read_timeout: Duration = "60s",
        /// Longest time that calls in flight get when the provider stops. 0 is no limit.
        pub write_timeout: Duration = "60s",
        /// Whether the API wants the credentials in secret_mount_path.
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
}
