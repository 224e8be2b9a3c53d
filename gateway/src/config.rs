//! Settings of the gateway.

use std::path::PathBuf;
use std::time::Duration;

use faas_http::env;
use faas_http::telemetry::{LogFormat, LogLevel};
use faas_queue::is_queue_name;
use faas_queue::nats::{Login, LoginFiles, Settings};
use url::Url;

use crate::scaling::Autoscaler;

faas_http::settings! {
    /// Settings of the gateway. Field names are the variable names.
    pub struct Config {
        /// Base URL of the provider.
        pub functions_provider_url: Url,
        /// Base URL of whoever answers /system/logs. The provider if unset.
        pub logs_provider_url: Option<Url>,
        /// Port of the public API.
        pub port: u16 = "8080",
        /// Port of /metrics, /healthz (alive) and /readyz.
        pub metrics_port: u16 = "8082",
        /// Longest time for a request's headers to arrive, for the body of a /system request to arrive, and for a
        /// connection to be idle. 0 is no limit.
        pub read_timeout: Duration = "60s",
        /// Longest time that calls in flight get when the gateway stops. 0 is no limit.
        pub write_timeout: Duration = "60s",
        /// Longest wait for a function to begin its answer, and longest silence in a call's body, either way. 0 is no
        /// limit. A function's annotation com.openfaas.timeout replaces it for the answer's beginning.
        pub upstream_timeout: Duration = "60s",
        /// Whether a call may scale a function up from zero, and waits for a replica to be ready.
        pub scale_from_zero: bool = "true",
        /// Longest wait of a call for a replica to be ready.
        pub scale_from_zero_timeout: Duration = "30s",
        /// Most calls of one function that may wait for a replica; more are answered 503.
        pub scale_from_zero_queue: usize = "1024",
        /// Longest wait of a call of a function that is awake for one of its replicas to have room, where the label
        /// com.openfaas.max_inflight says how many calls one takes; then 503. 0 is no limit.
        pub overload_wait: Duration = "10s",
        /// Who decides about replicas: native, this gateway by the load that it measures; legacy, AlertManager and the idler
        /// alone; off, nobody but those who ask for a number.
        pub autoscaler: Autoscaler = "native",
        /// How often the load is looked at.
        pub autoscaler_tick: Duration = "2s",
        /// How long the load is averaged over.
        pub autoscaler_fast_window: Duration = "6s",
        /// How many times more than the ready replicas are for the load of two seconds has to be, to count at once.
        /// 0 is never.
        pub autoscaler_burst_ratio: f64 = "2",
        /// How long replicas that were needed are kept, at most 5m. The label com.openfaas.scale.down.window replaces it.
        pub autoscaler_down_window: Duration = "60s",
        /// How functions are scaled that have neither com.openfaas.scale.type nor com.openfaas.scale.target: legacy, rps,
        /// capacity, cpu or queue.
        pub default_scale_type: String = "legacy",
        /// Load of one replica, in what the type says, where com.openfaas.scale.target does not say it.
        pub default_target: f64 = "50",
        /// Share of the target that is aimed at, above 0 and at most 1, where com.openfaas.scale.target-proportion does not
        /// say it.
        pub default_target_proportion: f64 = "0.9",
        /// Most replicas, where com.openfaas.scale.max does not say it.
        pub default_scale_max: u64 = "20",
        /// How long a function is idle before it is put to sleep, where com.openfaas.scale.zero allows that and
        /// com.openfaas.scale.zero-duration does not say it.
        pub default_zero_duration: Duration = "15m",
        /// Whether a function that somebody has set to zero, and that may not sleep, is brought back to its minimum.
        pub maintain_min_replicas: bool = "false",
        /// Whether a function of type legacy gets further replicas only while each has five calls a second; false is
        /// the original's rule, by which six in all bring it to its maximum.
        pub legacy_per_replica: bool = "true",
        /// From one step of a function of type legacy to the next.
        pub legacy_step_interval: Duration = "30s",
        /// Host of NATS, or several separated by commas. With faas_nats_port it makes asynchronous calls available.
        pub faas_nats_address: Option<String>,
        /// Port of NATS.
        pub faas_nats_port: Option<u16>,
        /// The queue that asynchronous calls are put in.
        pub faas_nats_channel: String = "faas-request",
        /// Further queues, separated by commas, which functions name by their annotation com.openfaas.queue. Each wants
        /// queue-workers of its own.
        pub async_queues: Option<String>,
        /// Who we are, where NATS asks.
        pub nats_user: Option<String>,
        /// File of that user's password.
        pub nats_password_file: Option<PathBuf>,
        /// File of a token, where NATS wants one instead.
        pub nats_token_file: Option<PathBuf>,
        /// Credentials file, where NATS wants one instead.
        pub nats_creds: Option<PathBuf>,
        /// File of the authorities (PEM) of which NATS shows a certificate; with it nothing is said in the clear. Where NATS
        /// asks for TLS and this is unset, those of this machine.
        pub nats_tls_ca: Option<PathBuf>,
        /// How many servers keep what is queued: 1, or 3 in a cluster. The queue-worker has to say the same of this and
        /// the next three.
        pub nats_stream_replicas: usize = "1",
        /// Most asynchronous calls that wait; more are answered 503.
        pub async_max_messages: u64 = "1000000",
        /// Most asynchronous calls that wait of one function; more are answered 429.
        pub async_max_messages_per_function: u64 = "200000",
        /// How long the end of an asynchronous call is known, and its answer kept where that was asked for.
        pub async_result_ttl: Duration = "1h",
        /// Largest body of an asynchronous call, in bytes.
        pub async_max_body_bytes: usize = "67108864",
        /// Longest time by which a caller may put an asynchronous call off.
        pub max_message_age: Duration = "24h",
        /// Namespace of functions that name none.
        pub function_namespace: String = "openfaas-fn",
        /// Whether /system wants the credentials in secret_mount_path. The provider is sent the same ones.
        pub basic_auth: bool = "false",
        /// Directory of the files basic-auth-user and basic-auth-password.
        pub secret_mount_path: PathBuf = "/run/secrets",
        /// Whether to refuse requests whose Host is no loopback name, and changes asked for by web pages from elsewhere.
        /// For a gateway on a developer's machine.
        pub browser_guard: bool = "false",
        /// Whether to log each call's path (never its query).
        pub write_request_uri: bool = "false",
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

    /// How NATS is reached, where asynchronous calls are wanted.
    ///
    /// # Errors
    /// What is wrong with the settings, in words.
    pub(crate) fn nats(&self) -> Result<Option<Settings>, String> {
        let (Some(hosts), Some(port)) = (&self.faas_nats_address, self.faas_nats_port) else {
            return Ok(None);
        };
        if !is_queue_name(&self.faas_nats_channel) {
            return Err("faas_nats_channel: 1 to 64 of a-z, 0-9, - and _".to_owned());
        }
        let login = Login::of(LoginFiles {
            user: self.nats_user.as_deref(),
            password: self.nats_password_file.as_deref(),
            token: self.nats_token_file.as_deref(),
            credentials: self.nats_creds.as_deref(),
        });
        let servers = hosts.split(',').map(str::trim);
        let servers = servers.map(|host| format!("{host}:{port}"));
        Ok(Some(Settings {
            servers: servers.collect::<Vec<_>>().join(","),
            login: login.map_err(|error| error.to_string())?,
            authorities: self.nats_tls_ca.clone(),
            queue: self.faas_nats_channel.clone(),
            replicas: self.nats_stream_replicas,
            most_calls: self.async_max_messages,
            most_calls_of_a_function: self.async_max_messages_per_function,
            result_ttl: self.async_result_ttl,
            lease: Settings::LEASE,
        }))
    }

    /// The queues beside the first.
    ///
    /// # Errors
    /// What is wrong with the setting, in words.
    pub(crate) fn further_queues(&self) -> Result<Vec<String>, String> {
        let names = self.async_queues.iter().flat_map(|names| names.split(','));
        let mut queues: Vec<String> = Vec::new();
        for name in names.map(str::trim) {
            if !is_queue_name(name) {
                return Err(format!(
                    "async_queues: `{name}` is not 1 to 64 of a-z, 0-9, - and _"
                ));
            }
            if name == self.faas_nats_channel || queues.iter().any(|known| known == name) {
                return Err(format!("async_queues: `{name}` is named twice"));
            }
            queues.push(name.to_owned());
        }
        Ok(queues)
    }

    /// The defaults, in front of a provider at this URL, for programs that embed the gateway.
    ///
    /// # Errors
    /// When the URL is not one for a provider.
    pub fn in_front_of(provider: &str) -> Result<Self, env::Error> {
        env::read([("functions_provider_url".to_owned(), provider.to_owned())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_queues_have_names_of_their_own() {
        let read = |text: &str| {
            let mut config = Config::in_front_of("http://127.0.0.1/").unwrap();
            config.async_queues = (!text.is_empty()).then(|| text.to_owned());
            config.further_queues()
        };
        assert_eq!(read(""), Ok(Vec::new()));
        assert_eq!(read("slow, big"), Ok(vec!["slow".into(), "big".into()]));
        for (text, words) in [
            ("slow,", "`` is not 1 to 64"),
            ("Slow", "`Slow` is not 1 to 64"),
            ("slow,slow", "`slow` is named twice"),
            ("faas-request", "`faas-request` is named twice"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
