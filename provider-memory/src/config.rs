//! Settings of the provider.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use faas_http::env;
use faas_http::telemetry::{LogFormat, LogLevel};
use tokio::net::lookup_host;

faas_http::settings! {
    /// Settings of provider-memory. Field names are the variable names.
    pub struct Config {
        /// Port of the provider API.
        pub port: u16 = "8080",
        /// Directory that keeps functions, namespaces and secrets across restarts. Without it they live in memory only.
        pub data_dir: Option<PathBuf>,
        /// Directory that functions see, read-only at its own path, and start in. The current one if unset.
        pub functions_dir: Option<PathBuf>,
        /// TOML file that gives images a program: reference to command, environment, directory.
        pub image_map: Option<PathBuf>,
        /// Namespace of functions that name none.
        pub function_namespace: String = "openfaas-fn",
        /// Address that replicas listen on, as the gateway reaches it: an IP address, or a name of this machine, looked up
        /// at the start.
        pub replica_address: String = "127.0.0.1",
        /// Most replicas that a function can be asked to have.
        pub max_replicas: u64 = "100",
        /// Most replicas that are kept paused, of all functions with the label com.openfaas.scale.zero-pause that are at zero. 0
        /// is none.
        pub paused_replicas: usize = "10",
        /// Longest time for which one is kept. 0 is no limit.
        pub paused_time: Duration = "1h",
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

    /// Settings for a provider inside another program: the defaults, with replicas on loopback.
    ///
    /// # Errors
    /// None but a mistake in the defaults themselves.
    pub fn embedded() -> Result<Self, env::Error> {
        env::read([])
    }

    /// The address that replicas listen on.
    pub(crate) async fn replica_ip(&self) -> Result<IpAddr, String> {
        let text = &self.replica_address;
        if let Ok(address) = text.parse() {
            return Ok(address);
        }
        let mistake = |why: String| {
            format!("replica_address: `{text}` is no IP address and no known name ({why})")
        };
        let found = lookup_host((text.as_str(), 0)).await;
        let mut found = found.map_err(|error| mistake(error.to_string()))?;
        found
            .next()
            .map(|address| address.ip())
            .ok_or_else(|| mistake("it has no address".to_owned()))
    }
}
