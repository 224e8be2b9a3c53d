//! What gateways say to each other: JSON, below `openfaas.scale`, each kind of word on a subject of its own that ends with a
//! gateway's name. Who reads a newer word ignores what it does not know in it.

use std::collections::BTreeMap;
use std::time::Duration;

use faas_provider::FunctionName;
use faas_scaling::load::Second;
use faas_scaling::peers::Report;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Everything that is said.
pub(super) const ALL: &str = "openfaas.scale.>";
const BELOW: &str = "openfaas.scale.";
/// Characters of a machine's name that are kept.
const LONGEST_NAME: usize = 40;

/// Where words of a kind are said that come from, or go to, a gateway.
pub(super) fn subject(kind: &str, gateway: &str) -> String {
    format!("{BELOW}{kind}.{gateway}")
}

/// The kind of a word, and the gateway.
pub(super) fn parts(subject: &str) -> Option<(&str, &str)> {
    subject.strip_prefix(BELOW)?.split_once('.')
}

/// A name for this gateway: that of its machine, so that people know it, and letters, so that it is nobody else's, nor that
/// of one that ran here before.
pub(super) fn id() -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let letters = Uuid::new_v4().simple().to_string();
    format!("{}-{}", token(machine.trim()), &letters[..8])
}

fn token(machine: &str) -> String {
    let kept = machine.chars().map(|c| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => c,
        _ => '_',
    });
    let token: String = kept.take(LONGEST_NAME).collect();
    match token.is_empty() {
        true => "gateway".to_owned(),
        false => token,
    }
}

/// `stats`: functions that were called lately.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Stats {
    #[serde(default)]
    functions: BTreeMap<String, Told>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    #[serde(default)]
    second: Option<ToldSecond>,
    #[serde(default)]
    calls: u64,
    #[serde(default)]
    idle_ms: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ToldSecond {
    arrivals: u64,
    succeeded: u64,
    concurrency: f64,
}

impl Stats {
    pub(super) fn of(reports: &[(FunctionName, Report)]) -> Self {
        let told = |report: &Report| Told {
            second: report.second.map(|second| ToldSecond {
                arrivals: second.arrivals,
                succeeded: second.succeeded,
                concurrency: second.concurrency,
            }),
            calls: report.calls,
            idle_ms: report.idle.map(millis),
        };
        let functions = reports.iter();
        Self {
            functions: functions
                .map(|(name, report)| (name.as_str().to_owned(), told(report)))
                .collect(),
        }
    }

    pub(super) fn reports(&self) -> impl Iterator<Item = (&str, Report)> {
        self.functions.iter().map(|(name, told)| {
            let second = told.second.as_ref().map(|second| Second {
                arrivals: second.arrivals,
                succeeded: second.succeeded,
                // A load that is no number would stay one in every sum.
                concurrency: match second.concurrency.is_finite() {
                    true => second.concurrency.max(0.0),
                    false => 0.0,
                },
            });
            let report = Report {
                second,
                calls: told.calls,
                idle: told.idle_ms.map(Duration::from_millis),
            };
            (name.as_str(), report)
        })
    }
}

/// `fall`: asks a gateway to hold back calls of a function that is to sleep, if it has none, and had none for so long. The
/// answer is `true` or `false`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fall {
    pub(super) from: String,
    pub(super) function: String,
    pub(super) idle_ms: u64,
}

/// `rise`: that is over, and the function sleeps, or not.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Rise {
    pub(super) function: String,
    pub(super) sleeps: bool,
}

/// `raise`: asks the gateway that decides to see to so many replicas at least. It answers twice: when it begins, with whatever,
/// and with what came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Raise {
    pub(super) function: String,
    pub(super) replicas: u64,
}

/// What came of it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Raised {
    #[serde(default)]
    pub(super) failure: Option<String>,
    /// Whether the same would be said again.
    #[serde(default)]
    pub(super) is_final: bool,
}

/// `why`: what was decided about a function.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Named {
    pub(super) function: String,
}

impl Named {
    pub(super) fn of(name: &FunctionName) -> Self {
        Self {
            function: name.as_str().to_owned(),
        }
    }
}

/// `alert`: an alert of a function that had so many replicas.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Alert {
    pub(super) function: String,
    pub(super) firing: bool,
    pub(super) current: u64,
}

/// Whole milliseconds.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_heard() {
        let report = Report {
            second: Some(Second {
                arrivals: 3,
                succeeded: 2,
                concurrency: 1.5,
            }),
            calls: 1,
            idle: Some(Duration::from_millis(250)),
        };
        let reports = [
            (FunctionName::new("f", "dev"), report),
            (FunctionName::new("g", "dev"), Report::default()),
        ];
        let text = serde_json::to_string(&Stats::of(&reports)).unwrap();
        let heard: Stats = serde_json::from_str(&text).unwrap();
        let heard: Vec<_> = heard.reports().collect();
        assert_eq!(heard, [("f.dev", report), ("g.dev", Report::default())]);
    }

    #[test]
    fn a_gateway_is_one_word_of_a_subject() {
        assert_eq!(token("host.of me"), "host_of_me");
        assert_eq!(token(""), "gateway");
        let (one, other) = (id(), id());
        assert_ne!(one, other);
        let all = subject("stats", &one);
        assert_eq!(parts(&all), Some(("stats", one.as_str())));
        assert_eq!(all.split('.').count(), 4);
        assert_eq!(parts("openfaas.queue.f"), None);
    }
}
