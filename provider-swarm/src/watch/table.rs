//! The table that others watch: made from what was seen and from who answers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use faas_provider::{Endpoint, EndpointTable, FunctionEndpoints, FunctionName, Publisher};
use time::OffsetDateTime;
use tokio::sync::{Notify, watch};

use super::probe::{PATH_ANNOTATION, Probe};
use super::snapshot::{Failure, Seen};
use super::words;

/// What a status says beyond the deployment.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// Replicas that answer.
    pub(crate) ready: u64,
    /// Why replicas are missing.
    pub(crate) problem: Option<String>,
    /// Why tasks ended or cannot begin, oldest first.
    pub(crate) failures: Vec<Failure>,
}

/// Every function's view.
pub(crate) type Views = Arc<HashMap<FunctionName, View>>;

/// Who is asked, who answers, and who has been told.
pub(crate) struct Table {
    publisher: Publisher,
    views: watch::Sender<Views>,
    probes: HashMap<String, Probe>,
    published: HashMap<FunctionName, Arc<FunctionEndpoints>>,
    /// Told whenever a probe has something new.
    answered: Arc<Notify>,
}

impl Table {
    pub(crate) fn new(answered: Arc<Notify>) -> Self {
        Self {
            publisher: Publisher::default(),
            views: watch::Sender::default(),
            probes: HashMap::new(),
            published: HashMap::new(),
            answered,
        }
    }

    pub(crate) fn endpoints(&self) -> watch::Receiver<EndpointTable> {
        self.publisher.watch()
    }

    pub(crate) fn views(&self) -> watch::Receiver<Views> {
        self.views.subscribe()
    }

    /// Publishes what was seen; replicas of functions in `withheld` take no calls. Whether every function has the replicas
    /// that it should have.
    pub(crate) fn publish(
        &mut self,
        seen: &BTreeMap<FunctionName, Seen>,
        withheld: &HashSet<FunctionName>,
    ) -> bool {
        self.ask(seen);
        let now = OffsetDateTime::now_utc();
        let mut settled = true;
        let mut table = HashMap::new();
        let mut views = HashMap::new();
        for (name, function) in seen {
            let ready = self.ready(function);
            settled &= ready.len() as u64 == function.replicas
                && function.wanted as u64 == function.replicas;
            views.insert(name.clone(), self.view(function, ready.len(), now));
            // The tasks of a function that goes to zero are to run until Swarm gets to them.
            let endpoints = match withheld.contains(name) || function.replicas == 0 {
                true => Vec::new(),
                false => ready,
            };
            table.insert(name.clone(), self.entry(name, function, endpoints));
        }
        if !same(&self.published, &table) || !self.publisher.watch().borrow().complete {
            self.published.clone_from(&table);
            self.publisher.replace(EndpointTable {
                complete: true,
                functions: Arc::new(table),
            });
        }
        self.views.send_replace(Arc::new(views));
        settled
    }

    /// Starts asking new tasks and stops asking those that are gone.
    fn ask(&mut self, seen: &BTreeMap<FunctionName, Seen>) {
        let mut probes = HashMap::new();
        for function in seen.values() {
            for candidate in &function.running {
                let known = self.probes.remove(&candidate.task);
                let path = || {
                    function
                        .annotations
                        .get(PATH_ANNOTATION)
                        .filter(|path| path.starts_with('/'))
                        .cloned()
                };
                let probe =
                    known.or_else(|| Probe::start(candidate, path(), Arc::clone(&self.answered)));
                if let Some(probe) = probe {
                    probes.insert(candidate.task.clone(), probe);
                }
            }
        }
        self.probes = probes;
    }

    fn ready(&self, function: &Seen) -> Vec<Endpoint> {
        let probes = function
            .running
            .iter()
            .filter_map(|candidate| self.probes.get(&candidate.task));
        let ready = probes.filter(|probe| probe.is_ready());
        ready.map(|probe| Arc::clone(&probe.upstream)).collect()
    }

    fn view(&self, function: &Seen, ready: usize, now: OffsetDateTime) -> View {
        let silent = function
            .running
            .iter()
            .find_map(|candidate| self.probes.get(&candidate.task)?.silence());
        View {
            ready: ready as u64,
            problem: words::problem(function, ready, silent, now),
            failures: function.failures.clone(),
        }
    }

    /// The old entry where nothing changed: who watches sees by its address that it is the same.
    fn entry(
        &self,
        name: &FunctionName,
        function: &Seen,
        endpoints: Vec<Endpoint>,
    ) -> Arc<FunctionEndpoints> {
        let new = FunctionEndpoints {
            replicas: function.replicas,
            labels: Arc::clone(&function.labels),
            annotations: Arc::clone(&function.annotations),
            endpoints,
        };
        let old = self.published.get(name).filter(|old| equal(old, &new));
        old.cloned().unwrap_or_else(|| Arc::new(new))
    }
}

fn equal(a: &FunctionEndpoints, b: &FunctionEndpoints) -> bool {
    a.replicas == b.replicas
        && a.labels == b.labels
        && a.annotations == b.annotations
        && a.endpoints.len() == b.endpoints.len()
        && a.endpoints
            .iter()
            .zip(&b.endpoints)
            .all(|(a, b)| Arc::ptr_eq(a, b))
}

fn same(
    a: &HashMap<FunctionName, Arc<FunctionEndpoints>>,
    b: &HashMap<FunctionName, Arc<FunctionEndpoints>>,
) -> bool {
    a.len() == b.len()
        && a.iter()
            .all(|(name, entry)| b.get(name).is_some_and(|other| Arc::ptr_eq(entry, other)))
}
