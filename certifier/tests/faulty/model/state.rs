//! What the platform knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use tokio::sync::watch;

use super::probe::Replica;

/// Namespace and name.
pub(crate) type Key = (String, String);

pub(crate) const DEFAULT: &str = "openfaas-fn";
pub(crate) const SECOND: &str = "second";

#[derive(Default)]
pub(crate) struct State {
    pub(crate) functions: BTreeMap<Key, Function>,
    pub(crate) secrets: BTreeMap<Key, Vec<u8>>,
    /// Functions that were deleted, and when.
    pub(crate) deleted: BTreeMap<Key, (Function, OffsetDateTime)>,
    /// How often functions were listed.
    pub(crate) lists: usize,
    /// Labels and annotations of each.
    pub(crate) namespaces: BTreeMap<String, Value>,
    /// Calls by `name.namespace`, and the same by the status of their answers.
    pub(crate) started: BTreeMap<String, u64>,
    pub(crate) answered: BTreeMap<(String, u16), u64>,
    /// Requests of the system API by method, route and status.
    pub(crate) requests: BTreeMap<(String, String, u16), u64>,
}

#[derive(Clone)]
pub(crate) struct Function {
    /// As it was sent, under the names of the API.
    pub(crate) deployment: Map<String, Value>,
    pub(crate) replicas: u64,
    /// Whether a version of it has had an image that exists.
    pub(crate) runs: bool,
    pub(crate) created: OffsetDateTime,
    pub(crate) calls: u64,
    /// So many calls go wrong next.
    pub(crate) stumbles: u64,
    /// So many calls come too soon after it came back from zero.
    pub(crate) waking: u64,
    pub(crate) log: Log,
    /// What its watchdog says of the last call, once somebody has looked at the log: when it is least wanted.
    pub(crate) last_words: Option<String>,
    /// What it has written.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// The servers that play its replicas, if it is the probe.
    pub(crate) probes: Vec<Replica>,
    /// Whether its process has ended, and nobody starts it again.
    pub(crate) down: bool,
}

/// What a function has said. Survives its updates.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) lines: Vec<LogLine>,
    /// How many there are, for those who follow.
    pub(crate) length: Arc<watch::Sender<usize>>,
}

#[derive(Clone)]
pub(crate) struct LogLine {
    pub(crate) at: OffsetDateTime,
    pub(crate) instance: String,
    pub(crate) text: String,
}

impl State {
    pub(crate) fn new() -> Self {
        let marked = json!({"labels": {"openfaas": "1"}, "annotations": {"openfaas": "1"}});
        let names = [DEFAULT, SECOND];
        let namespaces = names.map(|name| (name.to_owned(), marked.clone()));
        Self {
            namespaces: namespaces.into(),
            ..Self::default()
        }
    }

    /// Removes a function, if it is there.
    pub(crate) fn forget(&mut self, key: &Key) -> bool {
        let Some(function) = self.functions.remove(key) else {
            return false;
        };
        // Whoever follows its log comes to the end.
        function.log.length.send_replace(usize::MAX);
        let at = OffsetDateTime::now_utc();
        self.deleted.insert(key.clone(), (function, at));
        true
    }
}

impl Function {
    pub(crate) fn new(deployment: Map<String, Value>, replicas: u64) -> Self {
        Self {
            runs: has_image(&deployment),
            deployment,
            replicas,
            created: OffsetDateTime::now_utc(),
            calls: 0,
            stumbles: 0,
            waking: 0,
            log: Log::new(),
            last_words: None,
            files: BTreeMap::new(),
            probes: Vec::new(),
            down: false,
        }
    }

    /// A field of the deployment that is a text; empty when it is missing.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.deployment
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The entries of a field that is an object of texts.
    pub(crate) fn entries(&self, key: &str) -> impl Iterator<Item = (&str, &str)> {
        let object = self.deployment.get(key).and_then(Value::as_object);
        object
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()))
    }

    pub(crate) fn entry(&self, key: &str, name: &str) -> Option<&str> {
        self.entries(key)
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// The name of one of its replicas, as its log gives it.
    pub(crate) fn instance(&self, number: usize) -> String {
        format!("{}-{number}", self.text("service"))
    }
}

/// No registry has a name that is reserved for nobody (RFC 6761, section 6.4).
pub(crate) fn has_image(deployment: &Map<String, Value>) -> bool {
    let image = deployment.get("image").and_then(Value::as_str);
    !image.unwrap_or_default().contains(".invalid/")
}

impl Log {
    fn new() -> Self {
        Self {
            lines: Vec::new(),
            length: Arc::new(watch::Sender::new(0)),
        }
    }

    pub(crate) fn add(&mut self, instance: &str, text: String) {
        self.lines.push(LogLine {
            at: OffsetDateTime::now_utc(),
            instance: instance.to_owned(),
            text,
        });
        self.length.send_replace(self.lines.len());
    }
}
