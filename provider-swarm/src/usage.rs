//! What a function uses, as the engine measures its containers. An engine knows those of its own node only: replicas
//! elsewhere are not in the sums.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use faas_provider::FunctionUsage;
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use crate::engine::{Engine, Error, filter};
use container::Reading;

mod container;

/// For how long a measurement is told again, to whoever asks.
const FRESH: Duration = Duration::from_secs(2);
/// Time between two readings of a container, from which its share of the processors is told.
const WINDOW: Duration = Duration::from_millis(300);
/// Containers that are read at a time.
const AT_ONCE: usize = 8;

/// Measures on demand, each function once at a time.
#[derive(Default)]
pub(crate) struct Meter {
    /// By the service's id; those that are no longer told are dropped when somebody asks for another.
    known: Mutex<HashMap<String, Arc<Measured>>>,
}

/// The last measurement; locked while there is a new one.
type Measured = tokio::sync::Mutex<Option<(Instant, Option<FunctionUsage>)>>;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    id: String,
}

impl Meter {
    /// What the service's containers on this node use; `None` where there are none, or the engine does not say.
    pub(crate) async fn usage(&self, engine: &Engine, service: &str) -> Option<FunctionUsage> {
        let measured = self.measured(service);
        let mut measured = measured.lock().await;
        if let Some((at, usage)) = &*measured
            && at.elapsed() < FRESH
        {
            return usage.clone();
        }
        let usage = measure(engine, service).await.unwrap_or_else(|error| {
            tracing::debug!(service, %error, "what a function uses cannot be measured");
            None
        });
        *measured = Some((Instant::now(), usage.clone()));
        usage
    }

    fn measured(&self, service: &str) -> Arc<Measured> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // One that is locked is being measured.
        known.retain(|_, measured| {
            measured.try_lock().map_or(true, |measured| {
                measured
                    .as_ref()
                    .is_some_and(|(at, _)| at.elapsed() < FRESH)
            })
        });
        Arc::clone(known.entry(service.to_owned()).or_default())
    }
}

async fn measure(engine: &Engine, service: &str) -> Result<Option<FunctionUsage>, Error> {
    let label = format!("com.docker.swarm.service.id={service}");
    let filters = filter(&[("label", &[&label]), ("status", &["running"])]);
    let containers: Vec<Container> = engine
        .get("/containers/json", &[("filters", &filters)])
        .await?;
    if containers.is_empty() {
        return Ok(None);
    }
    let before = read(engine, &containers).await?;
    sleep(WINDOW).await;
    let after = read(engine, &containers).await?;
    let both = before.iter().zip(&after);
    let both = both.filter_map(|(before, after)| Some((before.as_ref()?, after.as_ref()?)));
    let mut usage = FunctionUsage::default();
    for (before, after) in both {
        usage.cpu += after.cpu_millis_since(before);
        usage.total_memory_bytes += after.memory_bytes();
    }
    Ok(Some(usage))
}

/// A reading of each container, in their order; `None` for one that has gone.
async fn read(engine: &Engine, containers: &[Container]) -> Result<Vec<Option<Reading>>, Error> {
    let ids: Vec<String> = containers.iter().map(|one| one.id.clone()).collect();
    let readings = stream::iter(ids).map(|id| read_one(engine, id));
    let readings = readings.buffered(AT_ONCE).collect::<Vec<_>>().await;
    readings.into_iter().collect()
}

async fn read_one(engine: &Engine, id: String) -> Result<Option<Reading>, Error> {
    let query = [("stream", "false"), ("one-shot", "true")];
    match engine.get(&format!("/containers/{id}/stats"), &query).await {
        Ok(reading) => Ok(Some(reading)),
        Err(error) if matches!(error.status(), Some(404 | 409)) => Ok(None),
        Err(error) => Err(error),
    }
}
