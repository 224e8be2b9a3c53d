//! What the engine says of functions and their tasks, put together. No I/O.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use faas_provider::{FunctionName, FunctionStatus, Texts};
use time::OffsetDateTime;

use crate::engine::{NO_IMAGE, Service, Task, rfc3339};
use crate::record;

/// What there is to say of a task that ended without a complaint. An engine stops what its image's health check finds
/// ill, and a watchdog then ends as it should.
const ENDED: &str =
    "its container ended with code 0: the process ended, or the image's own health check failed";

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
        let current = task.spec.force_update == force_update;
        let text = match (task.failed(), waiting, status.err.as_str()) {
            (true, _, "") => status.message.as_str(),
            (true, _, words) | (_, true, words) => words,
            _ if current && task.ended_by_itself() => ENDED,
            _ => return None,
        };
        (!text.is_empty()).then(|| Self {
            task: task.id.clone(),
            when: rfc3339(&status.timestamp),
            text: text.trim().to_owned(),
            current,
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

#[cfg(test)]
mod tests {
    use faas_provider::FunctionDeployment;
    use serde_json::{Value, json};

    use super::*;

    fn services() -> Services {
        let name = FunctionName::new("echo", "fn");
        let labels = record::service_labels(&name, &FunctionDeployment::default());
        let service = json!({"ID": "s1", "UpdatedAt": "1", "Spec": {
            "Name": "echo", "Labels": labels, "Mode": {"Replicated": {"Replicas": 2}},
            "TaskTemplate": {"ForceUpdate": 3}}});
        let others =
            json!({"ID": "s2", "Spec": {"Name": "other", "Labels": null, "Mode": {"Global": {}}}});
        let services = [service, others].map(|one| serde_json::from_value(one).unwrap());
        read_services(services.into(), &mut Services::new())
    }

    fn task(id: &str, desired: &str, state: &str, more: Value) -> Task {
        let mut task = json!({"ID": id, "ServiceID": "s1", "DesiredState": desired, "Spec": {"ForceUpdate": 3},
            "Status": {"Timestamp": "2026-11-22T06:30:58.506477357Z", "State": state},
            "NetworksAttachments": [{"Network": {"ID": "n"}, "Addresses": ["10.50.0.2/20"]}]});
        if let Some(err) = more.get("Err") {
            task["Status"]["Err"] = err.clone();
        }
        if let Some(spec) = more.get("Spec") {
            task["Spec"] = spec.clone();
        }
        serde_json::from_value(task).unwrap()
    }

    fn echo(tasks: &[Task]) -> Seen {
        let seen = functions(&services(), tasks, &Reasons::new());
        assert_eq!(seen.len(), 1, "what is not ours is not seen");
        seen.into_values().next().unwrap()
    }

    #[test]
    fn only_tasks_that_run_and_are_to_go_on_can_take_calls() {
        let seen = echo(&[
            task("a", "running", "running", json!({})),
            task("b", "shutdown", "running", json!({})),
            task("c", "remove", "running", json!({})),
            task("d", "running", "starting", json!({})),
            task("e", "running", "failed", json!({})),
        ]);
        let address = "10.50.0.2".parse().unwrap();
        assert_eq!(
            seen.running,
            [Candidate {
                task: "a".into(),
                address
            }]
        );
        assert_eq!((seen.replicas, seen.wanted), (2, 2));
    }

    #[test]
    fn why_tasks_ended_is_kept_and_which_update_they_were_of() {
        let seen = echo(&[
            task(
                "a",
                "shutdown",
                "rejected",
                json!({"Err": "No such image: x"}),
            ),
            task(
                "b",
                "running",
                "pending",
                json!({"Err": "no suitable node"}),
            ),
            task(
                "c",
                "shutdown",
                "failed",
                json!({"Err": "old", "Spec": {"ForceUpdate": 2}}),
            ),
            task("d", "shutdown", "shutdown", json!({})),
            task("e", "running", "pending", json!({})),
            task("f", "shutdown", "complete", json!({})),
            // Scaled away, and of an update before.
            task("g", "remove", "complete", json!({})),
            task(
                "h",
                "shutdown",
                "complete",
                json!({"Spec": {"ForceUpdate": 2}}),
            ),
        ]);
        let told: Vec<_> = seen
            .failures
            .iter()
            .map(|one| (one.text.as_str(), one.current, one.waiting))
            .collect();
        let expected = [
            ("No such image: x", true, false),
            ("no suitable node", true, true),
            ("old", false, false),
            (ENDED, true, false),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn the_registry_s_words_explain_a_missing_image_and_nothing_else() {
        let tasks = [
            task(
                "a",
                "shutdown",
                "rejected",
                json!({"Err": "No such image: x"}),
            ),
            task(
                "b",
                "shutdown",
                "failed",
                json!({"Err": "task: non-zero exit (1)"}),
            ),
        ];
        let reasons = [(FunctionName::new("echo", "fn"), "unauthorized".to_owned())].into();
        let seen = functions(&services(), &tasks, &reasons)
            .into_values()
            .next()
            .unwrap();
        let texts: Vec<_> = seen.failures.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(
            texts,
            ["No such image: x (unauthorized)", "task: non-zero exit (1)"]
        );
    }
}
