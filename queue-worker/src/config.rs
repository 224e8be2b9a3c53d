//! Settings of the worker.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use faas_http::env::{self, Setting};
use faas_http::telemetry::{LogFormat, LogLevel};
use faas_http::{duration, settings};
use faas_queue::{Backoff, RetryPolicy, is_queue_name, nats, policy};
use url::Url;

use crate::StartError;
use crate::permitted::Networks;

/// Word of a call that is held is sent three times as often.
const LEAST_ACK_WAIT: Duration = Duration::from_secs(1);

settings! {
    /// Settings of the queue-worker. Field names are the variable names.
    pub struct Config {
        /// Host of NATS, or several separated by commas. The original's name faas_nats_address is read too.
        pub nats_host: String = "nats",
        /// Port of NATS. The original's name faas_nats_port is read too.
        pub nats_port: u16 = "4222",
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
        /// The queue that is worked off. The original's name faas_nats_channel is read too.
        pub queue_name: String = "faas-request",
        /// How many servers keep what is queued: 1, or 3 in a cluster. The gateway has to say the same of this and the
        /// next three.
        pub nats_stream_replicas: usize = "1",
        /// Most calls that wait.
        pub async_max_messages: u64 = "1000000",
        /// Most calls that wait of one function.
        pub async_max_messages_per_function: u64 = "200000",
        /// How long a call's end is known, and its answer kept.
        pub async_result_ttl: Duration = "1h",
        /// How long NATS waits for word of a call that a worker has taken. It is no limit of the call: word is sent as
        /// long as the call runs.
        pub ack_wait: Duration = "60s",
        /// Base URL of the gateway that calls are made through. The original's names faas_gateway_address and
        /// faas_gateway_port are read too.
        pub gateway_url: Url = "http://gateway:8080",
        /// Port of /metrics, /healthz (alive) and /readyz.
        pub metrics_port: u16 = "8081",
        /// Most calls at once.
        pub max_inflight: usize = "50",
        /// Longest wait for a function to begin its answer, once it is awake; the gateway's own, or longer. 0 is no
        /// limit. A function's annotation com.openfaas.timeout replaces it.
        pub upstream_timeout: Duration = "60s",
        /// How long the gateway lets a call wait for a replica; added to the limit above.
        pub scale_from_zero_timeout: Duration = "30s",
        /// Most retries of a call. Annotation com.openfaas.retry.attempts.
        pub max_retry_attempts: u32 = "10",
        /// Wait before the first retry; doubled for each further one. Annotation com.openfaas.retry.min_wait.
        pub initial_retry_wait: Duration = "10s",
        /// Longest wait before a retry. Annotation com.openfaas.retry.max_wait.
        pub max_retry_wait: Duration = "120s",
        /// Statuses that are retried. 400, 401, 404 and 413 never are. Annotation com.openfaas.retry.codes.
        pub retry_http_codes: Codes = "408,429,500,502,503,504",
        /// How waits are drawn: exponential (as they are), full (anything up to that), equal (between half and all).
        pub backoff: Growth = "exponential",
        /// Whether fewer calls are made of a function that answers 429, which is then no failure.
        pub limiter_enabled: bool = "true",
        /// Age at which a call is given up.
        pub max_message_age: Duration = "24h",
        /// Whether a call that the function refused for good is kept as a dead letter.
        pub dlq_on_permanent: bool = "true",
        /// Most of an answer's body that is kept, and called back with, in bytes.
        pub max_response_bytes: usize = "1048576",
        /// Longest time that running calls get when the worker stops.
        pub shutdown_timeout: Duration = "60s",
        /// Most callbacks posted at once.
        pub callback_max_inflight: usize = "50",
        /// Longest time for a callback to be taken.
        pub callback_timeout: Duration = "30s",
        /// Waits before a callback is posted again, each a fifth more or less; after the last it is a dead letter.
        pub callback_retry_waits: Waits = "5s,30s,2m,10m,1h,6h",
        /// Networks that callbacks are posted to, and no others; as in 10.0.0.0/8,192.0.2.7. Everywhere if unset.
        pub callback_allow_cidrs: Option<Networks>,
        /// Networks that callbacks are never posted to. Addresses of machine metadata never are.
        pub callback_deny_cidrs: Option<Networks>,
        /// Log lines as text or json.
        pub log_format: LogFormat = "text",
        /// Level of the log, or a list of target=level.
        pub log_level: LogLevel = "info",
    }
}

/// The original's names, and ours.
const OLD_NAMES: [(&str, &str); 3] = [
    ("faas_nats_address", "nats_host"),
    ("faas_nats_port", "nats_port"),
    ("faas_nats_channel", "queue_name"),
];

impl Config {
    /// Reads settings, also by the original's names; ours win.
    ///
    /// # Errors
    /// Every mistake at once.
    pub fn from_variables(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, env::Error> {
        let given: Vec<(String, String)> = variables
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let value = |name: &str| {
            let found = given.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        };
        let mut read: Vec<(String, String)> = OLD_NAMES
            .iter()
            .filter_map(|(old, new)| Some(((*new).to_owned(), value(old)?)))
            .collect();
        if let Some(address) = value("faas_gateway_address") {
            let port = value("faas_gateway_port").unwrap_or_else(|| "8080".to_owned());
            let url = format!("http://{address}:{port}");
            read.push(("gateway_url".to_owned(), url));
        }
        // Of several values of a name the last one counts.
        read.extend(given);
        env::read(read)
    }

    /// Reads the process environment. Only `main` calls this.
    ///
    /// # Errors
    /// As [`Config::from_variables`].
    pub fn from_env() -> Result<Self, env::Error> {
        let text = |text: OsString| text.to_string_lossy().into_owned();
        Self::from_variables(std::env::vars_os().map(|(name, value)| (text(name), text(value))))
    }

    /// How NATS is reached, and what the queue holds at most.
    ///
    /// # Errors
    /// When the login cannot be had, or a setting makes no sense there.
    pub(crate) fn nats(&self) -> Result<nats::Settings, StartError> {
        if !is_queue_name(&self.queue_name) {
            let words = "queue_name: 1 to 64 of a-z, 0-9, - and _";
            return Err(StartError::Setting(words));
        }
        if self.ack_wait < LEAST_ACK_WAIT {
            return Err(StartError::Setting("ack_wait: it is less than 1s"));
        }
        let servers = self.nats_host.split(',').map(str::trim);
        let servers = servers.map(|host| format!("{host}:{}", self.nats_port));
        Ok(nats::Settings {
            servers: servers.collect::<Vec<_>>().join(","),
            login: nats::Login::of(nats::LoginFiles {
                user: self.nats_user.as_deref(),
                password: self.nats_password_file.as_deref(),
                token: self.nats_token_file.as_deref(),
                credentials: self.nats_creds.as_deref(),
            })?,
            authorities: self.nats_tls_ca.clone(),
            queue: self.queue_name.clone(),
            replicas: self.nats_stream_replicas,
            most_calls: self.async_max_messages,
            most_calls_of_a_function: self.async_max_messages_per_function,
            result_ttl: self.async_result_ttl,
            lease: self.ack_wait,
        })
    }

    /// The defaults, for programs that embed the worker.
    ///
    /// # Errors
    /// Never, as long as the defaults are good values.
    pub fn embedded() -> Result<Self, env::Error> {
        env::read([])
    }

    /// What is promised about retries where a function says nothing else.
    pub(crate) fn policy(&self) -> RetryPolicy {
        RetryPolicy {
            max_retries: self.max_retry_attempts,
            codes: self.retry_http_codes.0.clone(),
            min_wait: self.initial_retry_wait,
            max_wait: self.max_retry_wait,
            backoff: self.backoff.0,
            max_age: self.max_message_age,
            dead_on_permanent: self.dlq_on_permanent,
        }
    }
}

/// Statuses that are retried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codes(pub BTreeSet<u16>);

impl Setting for Codes {
    const KIND: &'static str = "list of statuses";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            let never = policy::NEVER_RETRIED.map(|code| code.to_string());
            let never = never.join(", ");
            format!("`{text}` is no list of statuses separated by commas, without {never}")
        };
        policy::codes(text).map(Self).ok_or_else(wrong)
    }
}

/// How waits between attempts are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth(pub Backoff);

impl Setting for Growth {
    const KIND: &'static str = "exponential, full or equal";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "exponential" => Ok(Self(Backoff::Exponential)),
            "full" => Ok(Self(Backoff::Full)),
            "equal" => Ok(Self(Backoff::Equal)),
            _ => Err(format!("`{text}` is none of exponential, full, equal")),
        }
    }
}

/// Waits one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits(pub Vec<Duration>);

impl Setting for Waits {
    const KIND: &'static str = "list of durations";

    fn parse(text: &str) -> Result<Self, String> {
        let waits = text.split(',').map(|wait| duration::parse(wait.trim()));
        let waits: Result<Vec<_>, _> = waits.collect();
        waits.map(Self).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_promise_that_faas_queue_makes() {
        let config = Config::embedded().unwrap();
        assert_eq!(config.policy(), RetryPolicy::default());
        assert_eq!(config.callback_retry_waits.0.len(), 6);
    }

    #[test]
    fn the_originals_names_are_read_and_ours_win() {
        let read = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            let owned = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Config::from_variables(owned)
        };
        let config = read(&[
            ("faas_nats_address", "10.0.0.1,10.0.0.2"),
            ("faas_nats_port", "4333"),
            ("faas_nats_channel", "old"),
            ("queue_name", "new"),
            ("faas_gateway_address", "gw"),
            ("nats_user", ""),
        ])
        .unwrap();
        let settings = config.nats().unwrap();
        assert_eq!(settings.servers, "10.0.0.1:4333,10.0.0.2:4333");
        assert_eq!(settings.queue, "new");
        assert_eq!(config.gateway_url.as_str(), "http://gw:8080/");
        let error = read(&[("faas_nats_port", "x")]).unwrap_err().to_string();
        assert!(error.contains("nats_port"), "{error}");
        for (name, value) in [
            ("queue_name", "No"),
            ("ack_wait", "10ms"),
            ("nats_user", "of"),
            ("nats_token_file", "/nowhere"),
            ("nats_creds", "/nowhere"),
        ] {
            let error = read(&[(name, value)]).unwrap().nats().err();
            assert!(error.is_some(), "{name}");
        }
    }

    #[test]
    fn what_is_no_value_is_told() {
        for (words, error) in [
            ("without 400", Codes::parse("500,404").unwrap_err()),
            ("`linear` is none", Growth::parse("linear").unwrap_err()),
            (
                "`soon` is no duration",
                Waits::parse("1s,soon").unwrap_err(),
            ),
        ] {
            assert!(error.contains(words), "{error}");
        }
    }
}
