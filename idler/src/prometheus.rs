//! Asking Prometheus.

use std::time::Duration;

use reqwest::Client;
use serde::Deserialize;
use url::Url;

use crate::seen::{Seen, Values};

/// How long a question may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Why Prometheus gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No answer, or none in time.
    #[error("Prometheus gives no answer: {0}")]
    Silent(String),
    /// An answer that is none.
    #[error("Prometheus answers {0}")]
    Garbage(String),
}

/// A Prometheus.
#[derive(Clone, Debug)]
pub(crate) struct Prometheus {
    http: Client,
    url: Url,
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    metric: Labels,
    value: (f64, String),
}

#[derive(Deserialize)]
struct Labels {
    #[serde(default)]
    function_name: String,
}

impl Prometheus {
    pub(crate) fn at(url: Url) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(LIMIT)
            .build()?;
        Ok(Self { http, url })
    }

    /// What is to be known of all functions, looking back for `window`.
    pub(crate) async fn look(&self, window: Duration) -> Result<Seen, Error> {
        let ago = format!("offset {}s", window.as_secs());
        let sum = |series: &str| format!("sum by (function_name) ({series})");
        let started = "gateway_function_invocation_started";
        Ok(Seen {
            started: self.ask(&sum(started)).await?,
            started_before: self.ask(&sum(&format!("{started} {ago}"))).await?,
            ended: self.ask(&sum("gateway_function_invocation_total")).await?,
            in_flight: self.ask(&sum("gateway_function_invocation_inflight")).await?,
            idle_for: self
                .ask(
                    "time() - max by (function_name) (gateway_function_last_activity_timestamp_seconds)",
                )
                .await?,
            queued: self.ask(&sum("queue_worker_pending_messages")).await?,
            known_before: self.ask(&sum(&format!("gateway_service_count {ago}"))).await?,
        })
    }

    /// For how many seconds the gateway runs that runs for the shortest time, where it says so.
    pub(crate) async fn gateway_age(&self) -> Result<Option<f64>, Error> {
        let query = "min(time() - (process_start_time_seconds and on (instance, job) gateway_service_count))";
        Ok(self.ask(query).await?.get("").copied())
    }

    async fn ask(&self, query: &str) -> Result<Values, Error> {
        let silent = |error: reqwest::Error| Error::Silent(error.without_url().to_string());
        let mut url = self.url.clone();
        url.set_path("/api/v1/query");
        let asked = self.http.get(url).query(&[("query", query)]);
        let answered = asked.send().await.map_err(silent)?;
        let status = answered.status();
        let body = answered.bytes().await.map_err(silent)?;
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| Error::Garbage(format!("{status}, and nothing that it would say")))?;
        let data = answer.data.filter(|_| answer.status == "success");
        let data = data.ok_or_else(|| Error::Garbage(format!("{status}: {}", answer.status)))?;
        let number = |sample: Sample| {
            let value = sample.value.1.parse().ok()?;
            Some((sample.metric.function_name, value))
        };
        Ok(data.result.into_iter().filter_map(number).collect())
    }
}
