//! What a function uses, as the engine measures its containers. An engine knows those of its own node only: replicas
//! elsewhere are not in the sums.

use std::time::Duration;

use faas_provider::FunctionUsage;
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use tokio::time::sleep;

use crate::engine::{Engine, Error, filter};
use container::Reading;

mod container;

/// Time between two readings of a container, from which its share of the processors is told.
const WINDOW: Duration = Duration::from_millis(300);
/// Containers that are read at a time.
const AT_ONCE: usize = 8;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    id: String,
}

/// What the service's containers on this node use; `None` where there are none, or the engine does not say.
pub(crate) async fn measure(engine: &Engine, service: &str) -> Option<FunctionUsage> {
    containers(engine, service).await.unwrap_or_else(|error| {
        tracing::debug!(service, %error, "what a function uses cannot be measured");
        None
    })
}

async fn containers(engine: &Engine, service: &str) -> Result<Option<FunctionUsage>, Error> {
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
