//! Requests that are under way at the same time, for what goes wrong only then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::request::Request;
use crate::switch::Switch;

/// So long a request is held back until others have come.
const TOGETHER: Duration = Duration::from_millis(60);

/// How many requests are under way, by what they are about.
#[derive(Clone, Default)]
pub(crate) struct Crowd(Arc<Mutex<BTreeMap<String, usize>>>);

/// One request in the crowd, until it is dropped.
pub(crate) struct Place {
    crowd: Crowd,
    about: String,
}

impl Crowd {
    /// Waits a moment for others if that matters, and counts them.
    pub(crate) async fn enter(
        &self,
        switch: Option<Switch>,
        route: &str,
        request: &mut Request,
    ) -> Option<Place> {
        let about = match switch? {
            Switch::CrowdLost => String::new(),
            Switch::RaceOverwrites
            | Switch::RaceUpdatesRefused
            | Switch::RaceDeletesTaken
            | Switch::RaceScalesRefused
            | Switch::RaceSecretsTaken => subject(request),
            _ => return None,
        };
        let about = format!("{} {route} {about}", request.method);
        *self.0.lock().unwrap().entry(about.clone()).or_default() += 1;
        let place = Place {
            crowd: self.clone(),
            about,
        };
        tokio::time::sleep(TOGETHER).await;
        request.beside = self.0.lock().unwrap()[&place.about];
        Some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut crowd = self.crowd.0.lock().unwrap();
        if let Some(count) = crowd.get_mut(&self.about) {
            *count -= 1;
        }
    }
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
