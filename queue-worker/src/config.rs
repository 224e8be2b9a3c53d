//! Settings of the worker.

use std::collections::BTreeSet;
use std::time::Duration;

use faas_http::env::{self, Setting};
use faas_http::{duration, settings};
use faas_queue::{Backoff, RetryPolicy, policy};
use url::Url;

settings! {
    /// Settings of the queue-worker. Field names are the variable names.
    pub struct Config {
        /// Base URL of the gateway that calls are made through.
        pub gateway_url: Url = "http://gateway:8080",
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
    }
}

impl Config {
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
