//! Requests that are under way at the same time, for what goes wrong only then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::request::Request;
use crate::switch::Switch;

/// So long a request is held back for others to come. It goes on at once when they do, so only those that come alone wait
/// for all of it; on a machine that stands still for a while a race is none if this is short.
const TOGETHER: Duration = Duration::from_millis(600);

/// So many different functions deployed at a time are a crowd: more than checks that run beside each other make.
const CROWD: usize = 12;

/// Who waits for whom, by what they are about.
#[derive(Clone, Default)]
pub(crate) struct Crowd(Arc<Mutex<BTreeMap<String, watch::Sender<Present>>>>);

/// Who is under way.
#[derive(Default)]
struct Present {
    subjects: Vec<String>,
    /// Whether there have been enough of them, since there was nobody.
    have_met: bool,
}

/// One request in the crowd, until it is dropped.
pub(crate) struct Place {
    crowd: Crowd,
    about: String,
    subject: String,
}

impl Crowd {
    /// Holds the request back until it is one of several, if that matters, or has waited long enough.
    pub(crate) async fn enter(
        &self,
        switch: Option<Switch>,
        route: &str,
        request: &mut Request,
    ) -> Option<Place> {
        if !matters(switch?, request.method.as_str(), route) {
            return None;
        }
        let subject = subject(request);
        let is_large = switch == Some(Switch::CrowdLost);
        let about = if is_large { "" } else { &subject };
        let place = Place {
            crowd: self.clone(),
            about: about.to_owned(),
            subject,
        };
        let mut present = place.enter(is_large);
        let crowded = present.wait_for(|present| present.have_met);
        request.crowded = tokio::time::timeout(TOGETHER, crowded).await.is_ok();
        Some(place)
    }
}

impl Place {
    fn enter(&self, is_large: bool) -> watch::Receiver<Present> {
        let mut crowd = self.crowd.0.lock().unwrap();
        let present = crowd.entry(self.about.clone()).or_default();
        present.send_modify(|present| {
            present.subjects.push(self.subject.clone());
            present.have_met |= match is_large {
                true => different(&present.subjects) >= CROWD,
                false => present.subjects.len() > 1,
            };
        });
        present.subscribe()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut crowd = self.crowd.0.lock().unwrap();
        if let Some(present) = crowd.get_mut(&self.about) {
            present.send_modify(|present| {
                let mut subjects = present.subjects.iter();
                let place = subjects.position(|known| *known == self.subject);
                present.subjects.swap_remove(place.unwrap());
                present.have_met &= !present.subjects.is_empty();
            });
        }
    }
}

/// Whether a race of such requests is what is got wrong.
fn matters(switch: Switch, method: &str, route: &str) -> bool {
    let raced = match switch {
        Switch::CrowdLost | Switch::RaceOverwrites => ("POST", "/system/functions"),
        Switch::RaceUpdatesRefused => ("PUT", "/system/functions"),
        Switch::RaceDeletesTaken => ("DELETE", "/system/functions"),
        Switch::RaceScalesRefused => ("POST", "/system/scale-function"),
        Switch::RaceSecretsTaken => ("POST", "/system/secrets"),
        _ => return false,
    };
    raced == (method, route)
}

fn different(present: &[String]) -> usize {
    let mut subjects: Vec<_> = present.iter().collect();
    subjects.sort();
    subjects.dedup();
    subjects.len()
}

/// The name that a body is about.
fn subject(request: &Request) -> String {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let keys = ["service", "functionName", "serviceName", "name"];
    let names = keys.iter().filter_map(|key| body[key].as_str());
    let namespace = body["namespace"].as_str().unwrap_or_default();
    let in_query = request.namespace_in_query();
    names
        .chain([namespace, &in_query])
        .collect::<Vec<_>>()
        .join(".")
}
