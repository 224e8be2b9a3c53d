//! What the engine says of functions and their tasks, put together. No I/O.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use faas_provider::{FunctionName, FunctionStatus, Texts};
use time::OffsetDateTime;

use crate::engine::{NO_IMAGE, Service, Task, rfc3339};
use crate::record;

/// A function as the last look saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) replicas: u64,
    pub(crate) labels: Arc<Texts>,
    pub(crate) annotations: Arc<Texts>,
    /// Where the last update stands, if it did not work out.
    pub(crate) undone: Option<String>,
    /// Tasks that run and are to go on running: they may take calls if they answer.
    pub(crate) running: Vec<Candidate>,
    /// Tasks that are to run, whatever they do now.
    pub(crate) wanted: usize,
    /// Why tasks ended or cannot begin, newest last.
    pub(crate) failures: Vec<Failure>,
}

/// A task that may take calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) task: String,
    pub(crate) address: IpAddr,
}

/// A task that ended otherwise than by our wish, or waits in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) task: String,
    pub(crate) when: OffsetDateTime,
    pub(crate) text: String,
    /// Whether it is a task of the specification that holds now.
    pub(crate) current: bool,
    /// Whether it still waits: then it is true however long ago it began.
    pub(crate) waiting: bool,
}

impl Failure {
    /// What there is to say of a task, if anything.
    pub(crate) fn of(task: &Task, force_update: u64) -> Option<Self> {
        let status = &task.status;
        let waiting = status.state == "pending" && task.desired_state == "running";
        let text = match (task.failed(), waiting, status.err.as_str()) {
            (true, _, "") => &status.message,
            (true, ..) | (_, true, _) => &status.err,
            _ => return None,
        };
        (!text.is_empty()).then(|| Self {
            task: task.id.clone(),
            when: rfc3339(&status.timestamp),
            text: text.trim().to_owned(),
            current: task.spec.force_update == force_update,
            waiting,
        })
    }
}

/// Why the images of functions cannot be pulled, as their registries say it: nodes only say that they have them not.
pub(crate) type Reasons = HashMap<FunctionName, String>;

impl Failure {
    /// Adds the registry's words, where they are what is missing.
    pub(crate) fn explain(&mut self, reason: Option<&String>) {
        if let Some(reason) = reason
            && self.current
            && self.text.starts_with(NO_IMAGE)
        {
            self.text = format!("{} ({reason})", self.text);
        }
    }
}

/// What stays the same as long as a service is not changed.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    name: FunctionName,
    service: Service,
    labels: Arc<Texts>,
    annotations: Arc<Texts>,
}

/// The functions by the ids of their services.
pub(crate) type Services = HashMap<String, Known>;

/// Reads services; those that did not change are kept as they are.
pub(crate) fn read_services(services: Vec<Service>, before: &mut Services) -> Services {
    let mut known = Services::new();
    for service in services {
        let Some(name) = record::function(&service) else {
            continue;
        };
        let old = before.remove(&service.id);
        let one = match old.filter(|old| old.service.updated_at == service.updated_at) {
            Some(same) => Known { service, ..same },
            None => {
                let deployment = record::deployment(&service).unwrap_or_default();
                let status = FunctionStatus::of(&name, &deployment);
                Known {
                    name,
                    labels: Arc::new(status.labels.unwrap_or_default()),
                    annotations: Arc::new(deployment.annotations),
                    service,
                }
            }
        };
        known.insert(one.service.id.clone(), one);
    }
    known
}

/// Puts services and tasks together.
pub(crate) fn functions(
    services: &Services,
    tasks: &[Task],
    reasons: &Reasons,
) -> BTreeMap<FunctionName, Seen> {
    let mut by_service = HashMap::<&str, Vec<&Task>>::new();
    for task in tasks {
        by_service.entry(&task.service_id).or_default().push(task);
    }
    let nothing = Vec::new();
    services
        .values()
        .map(|known| {
            let tasks = by_service
                .get(known.service.id.as_str())
                .unwrap_or(&nothing);
            (
                known.name.clone(),
                seen(known, tasks, reasons.get(&known.name)),
            )
        })
        .collect()
}

fn seen(known: &Known, tasks: &[&Task], reason: Option<&String>) -> Seen {
    let service = &known.service;
    let force_update = service.spec.task_template.force_update;
    let mut failures: Vec<Failure> = tasks
        .iter()
        .filter_map(|task| Failure::of(task, force_update))
        .collect();
    failures.sort_by_key(|failure| failure.when);
    failures
        .iter_mut()
        .for_each(|failure| failure.explain(reason));
    let candidate = |task: &&Task| {
        let address = task.address()?;
        task.runs().then(|| Candidate {
            task: task.id.clone(),
            address,
        })
    };
    let update = &service.update_status;
    Seen {
        replicas: service.replicas(),
        labels: Arc::clone(&known.labels),
        annotations: Arc::clone(&known.annotations),
        undone: update.failed().then(|| update.message.clone()),
        running: tasks.iter().filter_map(candidate).collect(),
        wanted: tasks
            .iter()
            .filter(|task| task.desired_state == "running" && !task.ended())
            .count(),
        failures,
    }
}
