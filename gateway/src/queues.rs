//! The queues on NATS that asynchronous calls are put in.

use std::sync::Arc;

use faas_queue::nats::{NatsError, Settings};
use faas_queue::{Nats, Queue, Queues};
use futures_util::future::try_join_all;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, Registry};

use crate::Config;
use crate::error::StartError;

/// What there is on NATS: the queue of asynchronous calls, and a connection on which gateways can talk.
#[derive(Default)]
pub(crate) struct OnNats {
    pub(crate) queue: Option<Arc<dyn Queue>>,
    pub(crate) client: Option<async_nats::Client>,
}

/// Connects to every queue, where there are any, and registers what is counted of that with `series`. A server that is not
/// there yet is waited for, while all else is served.
pub(crate) async fn connect(config: &Config, series: &Registry) -> Result<OnNats, StartError> {
    let Some(settings) = config.nats().map_err(StartError::Setting)? else {
        return Ok(OnNats::default());
    };
    let further = config.further_queues().map_err(StartError::Setting)?;
    let of = |queue| Settings {
        queue,
        ..settings.clone()
    };
    let wrong = |error: NatsError| StartError::Setting(error.to_string());
    // The first one first: some streams are those of all queues, and it makes them.
    let mut queues = vec![Nats::connect(settings.clone()).await.map_err(wrong)?];
    let further = further.into_iter().map(of).map(Nats::connect);
    queues.extend(try_join_all(further).await.map_err(wrong)?);
    let counted = Reconnects::of(queues.clone()).and_then(|it| series.register(Box::new(it)));
    counted.map_err(|error| StartError::Setting(error.to_string()))?;
    Ok(OnNats {
        client: queues.first().map(Nats::client),
        queue: as_one(queues),
    })
}

fn as_one(queues: Vec<Nats>) -> Option<Arc<dyn Queue>> {
    let queue = |nats| Arc::new(nats) as Arc<dyn Queue>;
    let mut queues = queues.into_iter().map(queue);
    let first = queues.next()?;
    let further: Vec<_> = queues.collect();
    Some(match further.is_empty() {
        true => first,
        false => Arc::new(Queues::new(first, further)),
    })
}

/// The original's counter, read where it is kept.
struct Reconnects {
    queues: Vec<Nats>,
    described: IntCounter,
}

impl Reconnects {
    fn of(queues: Vec<Nats>) -> prometheus::Result<Self> {
        Ok(Self {
            queues,
            described: counter()?,
        })
    }
}

fn counter() -> prometheus::Result<IntCounter> {
    IntCounter::new(
        "gateway_nats_reconnect_total",
        "How often a connection to NATS was made again.",
    )
}

impl Collector for Reconnects {
    fn desc(&self) -> Vec<&Desc> {
        self.described.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // A new one each time: pages may be asked for at once.
        let Ok(counter) = counter() else {
            return Vec::new();
        };
        counter.inc_by(self.queues.iter().map(Nats::reconnects).sum());
        counter.collect()
    }
}
