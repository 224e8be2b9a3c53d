//! Which replicas can take calls: a table that a provider publishes and everybody who forwards watches.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use faas_http::forward::Upstream;
use tokio::sync::watch;

use crate::{FunctionName, FunctionStatus};

/// A replica that can take calls.
pub type Endpoint = Arc<Upstream>;

/// One function as those who forward to it see it.
#[derive(Clone, Debug, Default)]
pub struct FunctionEndpoints {
    /// Replicas asked for, ready or not.
    pub replicas: u64,
    /// The function's labels: scaling limits, above all.
    pub labels: Arc<BTreeMap<String, String>>,
    /// The function's annotations: its timeout, above all.
    pub annotations: Arc<BTreeMap<String, String>>,
    /// The replicas that can take calls.
    pub endpoints: Vec<Endpoint>,
}

impl FunctionEndpoints {
    /// What a status says of a function, and the replicas that can take calls.
    #[must_use]
    pub fn of(status: &FunctionStatus, endpoints: Vec<Endpoint>) -> Self {
        Self {
            replicas: status.replicas,
            labels: Arc::new(status.labels.clone().unwrap_or_default()),
            annotations: Arc::new(status.annotations.clone().unwrap_or_default()),
            endpoints,
        }
    }
}

/// Every function of a provider. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct EndpointTable {
    /// Whether all functions are in it. Before, one that is missing may exist all the same.
    pub complete: bool,
    /// By full name. Unchanged entries keep their address, so that a change is cheap to find.
    pub functions: Arc<HashMap<FunctionName, Arc<FunctionEndpoints>>>,
}

impl EndpointTable {
    /// A function by its full name, `name.namespace`.
    #[must_use]
    pub fn get(&self, full_name: &str) -> Option<&Arc<FunctionEndpoints>> {
        self.functions.get(full_name)
    }

    /// What `after` has that this table has not, or has differently; `None` for what is gone.
    pub(crate) fn changes(
        &self,
        after: &Self,
    ) -> Vec<(FunctionName, Option<Arc<FunctionEndpoints>>)> {
        let same = |name: &FunctionName, entry| {
            self.functions
                .get(name)
                .is_some_and(|old| Arc::ptr_eq(old, entry))
        };
        let new = after
            .functions
            .iter()
            .filter(|(name, entry)| !same(name, entry));
        let gone = self
            .functions
            .keys()
            .filter(|name| !after.functions.contains_key(*name));
        new.map(|(name, entry)| (name.clone(), Some(Arc::clone(entry))))
            .chain(gone.map(|name| (name.clone(), None)))
            .collect()
    }
}

/// The writing end of the table: a provider holds one.
#[derive(Debug)]
pub struct Publisher(watch::Sender<EndpointTable>);

impl Default for Publisher {
    fn default() -> Self {
        Self(watch::Sender::new(EndpointTable::default()))
    }
}

impl Publisher {
    /// A publisher of a table that is complete already, though empty.
    #[must_use]
    pub fn complete() -> Self {
        let publisher = Self::default();
        publisher.set_complete();
        publisher
    }

    /// Says that all functions are in the table.
    pub fn set_complete(&self) {
        self.0.send_modify(|table| table.complete = true);
    }

    /// Puts a function in, or changes it.
    pub fn publish(&self, name: &FunctionName, function: FunctionEndpoints) {
        self.0.send_modify(|table| {
            Arc::make_mut(&mut table.functions).insert(name.clone(), Arc::new(function));
        });
    }

    /// Takes a function out.
    pub fn remove(&self, name: &FunctionName) {
        self.0.send_modify(|table| {
            Arc::make_mut(&mut table.functions).remove(name.as_str());
        });
    }

    /// Replaces the whole table.
    pub fn replace(&self, table: EndpointTable) {
        self.0.send_replace(table);
    }

    /// The reading end.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<EndpointTable> {
        self.0.subscribe()
    }
}

/// The table on the wire, for a gateway in another process. Ours; version 1.
pub(crate) mod wire {
    use std::collections::HashMap;

    use serde::{Deserialize, Serialize};

    use super::{Arc, Endpoint, EndpointTable, FunctionEndpoints, FunctionName, Upstream};
    use crate::Texts;

    /// One line of the stream.
    #[derive(Debug, Default, Serialize, Deserialize)]
    #[serde(default)]
    pub(crate) struct EndpointsRecord {
        /// Full name; empty in the line that says `complete`.
        #[serde(skip_serializing_if = "String::is_empty")]
        name: String,
        /// All functions have been sent.
        #[serde(skip_serializing_if = "is_false")]
        complete: bool,
        /// The function is gone.
        #[serde(skip_serializing_if = "is_false")]
        removed: bool,
        replicas: u64,
        #[serde(skip_serializing_if = "Texts::is_empty")]
        labels: Texts,
        #[serde(skip_serializing_if = "Texts::is_empty")]
        annotations: Texts,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        endpoints: Vec<EndpointRecord>,
    }

    #[derive(Debug, Serialize, Deserialize)]
    struct EndpointRecord {
        id: String,
        address: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        prefix: String,
    }

    impl EndpointRecord {
        fn is(&self, endpoint: &Endpoint) -> bool {
            endpoint.id() == self.id
                && endpoint.authority().as_str() == self.address
                && endpoint.prefix() == self.prefix
        }
    }

    impl EndpointsRecord {
        pub(crate) fn complete() -> Self {
            Self {
                complete: true,
                ..Self::default()
            }
        }

        pub(crate) fn of(name: &FunctionName, entry: Option<&FunctionEndpoints>) -> Self {
            let name = name.to_string();
            let Some(entry) = entry else {
                return Self {
                    name,
                    removed: true,
                    ..Self::default()
                };
            };
            let record = |one: &Endpoint| EndpointRecord {
                id: one.id().to_owned(),
                address: one.authority().to_string(),
                prefix: one.prefix().to_owned(),
            };
            Self {
                name,
                replicas: entry.replicas,
                labels: entry.labels.as_ref().clone(),
                annotations: entry.annotations.as_ref().clone(),
                endpoints: entry.endpoints.iter().map(record).collect(),
                ..Self::default()
            }
        }

        /// Changes a table by this line. Replicas that stay keep their counts.
        pub(crate) fn apply(self, table: &mut EndpointTable) {
            if self.complete {
                table.complete = true;
                return;
            }
            let functions: &mut HashMap<_, _> = Arc::make_mut(&mut table.functions);
            let old = functions.remove(self.name.as_str());
            if self.removed {
                return;
            }
            let known = |record: &EndpointRecord| {
                let endpoints = &old.as_ref()?.endpoints;
                endpoints.iter().find(|one| record.is(one)).cloned()
            };
            let endpoint = |record: EndpointRecord| {
                known(&record).or_else(|| {
                    Some(Upstream::below(
                        record.id,
                        record.address.parse().ok()?,
                        record.prefix,
                    ))
                })
            };
            let entry = FunctionEndpoints {
                replicas: self.replicas,
                labels: Arc::new(self.labels),
                annotations: Arc::new(self.annotations),
                endpoints: self.endpoints.into_iter().filter_map(endpoint).collect(),
            };
            // The namespace is always written out here.
            functions.insert(FunctionName::parse(&self.name, ""), Arc::new(entry));
        }
    }

    /// Appends a line.
    pub(crate) fn write(text: &mut Vec<u8>, record: &EndpointsRecord) {
        if serde_json::to_writer(&mut *text, record).is_ok() {
            text.push(b'\n');
        }
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
    fn is_false(value: &bool) -> bool {
        !*value
    }
}
