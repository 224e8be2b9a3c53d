//! The queue on NATS JetStream: for as many gateways and workers as there are.

mod background;
mod board;
mod bodies;
mod books;
mod callbacks;
mod dead;
mod end;
mod evicted;
mod find;
mod login;
mod look;
mod message;
mod names;
mod publish;
mod queue;
mod store;
mod streams;
mod sweep;
mod take;
mod time;
mod work;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::context::{Context, ContextBuilder};
use async_nats::{Client, ConnectOptions, Event};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::{Clock, InvocationId, SteadyClock};
use board::Board;
use books::{Retries, Tally};
pub(crate) use callbacks::Posting;
pub use login::{Login, LoginFiles};
pub(crate) use message::Message;
use names::Names;
use streams::StreamError;
pub(crate) use take::Delivery;
use time::Time;

/// By so much the server's clock may differ from ours.
const SKEW_MS: u64 = 5_000;
/// Cancellations that a worker may be behind by before it has to look for itself.
const CANCELLATIONS: usize = 1024;
/// How long a start waits for the server; it goes on without it.
const START: Duration = Duration::from_secs(5);
/// How long the server has to answer a question.
const ANSWER: Duration = Duration::from_secs(2);
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// How to reach NATS, and what the queue holds at most.
#[derive(Clone)]
pub struct Settings {
    /// `host:port`, several separated by commas.
    pub servers: String,
    /// Who we are.
    pub login: Login,
    /// File of the authorities of which the servers show a certificate. With it nothing is said in the clear; without it
    /// the servers say whether it is, and this machine knows the authorities.
    pub authorities: Option<PathBuf>,
    /// The queue's name.
    pub queue: String,
    /// How many servers keep each stream: 1, or 3 in a cluster.
    pub replicas: usize,
    /// Most calls that wait.
    pub most_calls: u64,
    /// Most calls that wait of one function.
    pub most_calls_of_a_function: u64,
    /// How long a call's end is known, and its answer kept. All programs of a queue have to say the same.
    pub result_ttl: Duration,
    /// How long what a worker took is held without a word. All workers of a queue have to say the same.
    pub lease: Duration,
}

impl Settings {
    /// How long what was taken is held where nobody says otherwise.
    pub const LEASE: Duration = Duration::from_secs(60);
}

/// Why there is no queue on NATS.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// The addresses cannot be read.
    #[error("NATS at `{servers}`: {reason}")]
    Address {
        /// What was tried.
        servers: String,
        /// The client's words.
        reason: String,
    },
    /// What the server is to be shown cannot be had.
    #[error("the login of NATS: {0}")]
    Login(String),
    /// A stream is there already, and is not ours.
    #[error("{0}")]
    Streams(String),
}

/// The queue on NATS. Cheap to clone.
#[derive(Clone)]
pub struct Nats(Arc<Inner>);

/// The connections that there were.
#[derive(Default)]
struct Connections {
    count: AtomicU64,
    /// When the last one was made, by our clock.
    since_ms: AtomicU64,
}

struct Inner {
    settings: Settings,
    names: Names,
    client: Client,
    context: Context,
    time: Arc<Time>,
    /// What is wrong with the streams.
    trouble: RwLock<Option<String>>,
    /// Consumers that were made sure of, by function.
    consumers: tokio::sync::Mutex<HashMap<String, PullConsumer>>,
    board: Board,
    tally: tokio::sync::Mutex<Tally>,
    retries: tokio::sync::Mutex<Retries>,
    changed: watch::Sender<u64>,
    cancelled: broadcast::Sender<InvocationId>,
    connections: Arc<Connections>,
    /// Dead letters that were pushed out.
    evicted: AtomicU64,
    /// What goes on beside; ends with the queue.
    tasks: Mutex<JoinSet<()>>,
}

impl Nats {
    /// As [`Nats::connect`], for a worker: it hears of calls, and ends the delays of those that were put off.
    ///
    /// # Errors
    /// As [`Nats::connect`].
    pub async fn work(settings: Settings) -> Result<Self, NatsError> {
        Self::work_at(settings, Arc::new(SteadyClock::default())).await
    }

    /// As [`Nats::work`], by another clock.
    ///
    /// # Errors
    /// As [`Nats::connect`].
    pub async fn work_at(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, NatsError> {
        let nats = Self::connect_at(settings, clock).await?;
        nats.begin_work().await;
        Ok(nats)
    }

    /// Connects, and goes on trying for ever where there is no server yet, or no longer. The streams are made where they
    /// are missing.
    ///
    /// # Errors
    /// See [`NatsError`]. A server that is not there is none.
    pub async fn connect(settings: Settings) -> Result<Self, NatsError> {
        Self::connect_at(settings, Arc::new(SteadyClock::default())).await
    }

    async fn connect_at(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, NatsError> {
        let time = Arc::new(Time::by(clock));
        let connections = Arc::new(Connections::default());
        let client = options(&settings, &connections, &time)?;
        let servers: Vec<&str> = settings.servers.split(',').map(str::trim).collect();
        let client = client.connect(servers).await;
        let client = client.map_err(|error| NatsError::Address {
            servers: settings.servers.clone(),
            reason: error.to_string(),
        })?;
        let context = ContextBuilder::new()
            .timeout(ANSWER)
            .ack_timeout(publish::ACK)
            .build(client.clone());
        let nats = Self(Arc::new(Inner {
            names: Names::of(&settings.queue),
            trouble: RwLock::new(Some("the streams were not looked at yet".to_owned())),
            settings,
            client,
            context,
            time,
            consumers: Default::default(),
            board: Board::default(),
            tally: Default::default(),
            retries: Default::default(),
            changed: watch::Sender::new(0),
            cancelled: broadcast::Sender::new(CANCELLATIONS),
            connections,
            evicted: AtomicU64::default(),
            tasks: Mutex::default(),
        }));
        let first = async {
            while nats.0.client.connection_state() != State::Connected {
                sleep(FIRST_DELAY).await;
            }
            nats.look_at_streams().await?;
            // What does not tell the time now does so soon.
            let _ = nats.learn_time().await;
            Ok(())
        };
        match timeout(START, first).await {
            Ok(Err(error @ StreamError::Foreign { .. })) => {
                return Err(NatsError::Streams(error.to_string()));
            }
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => {
                tracing::warn!("NATS is not there yet; asynchronous calls are refused until it is");
            }
        }
        nats.begin_looking();
        Ok(nats)
    }

    /// The connection, for what else is to be said on it.
    #[must_use]
    pub fn client(&self) -> Client {
        self.0.client.clone()
    }

    /// How often it was connected again.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        let connections = self.0.connections.count.load(Ordering::Relaxed);
        connections.saturating_sub(1)
    }

    /// Whether something stored then may have been handed out by a server that forgot it: one that is killed forgets the
    /// last seconds of what it was told of consumers. It is killed with our connection.
    fn may_be_forgotten(&self, at_ms: u64) -> bool {
        let since_ms = self.0.connections.since_ms.load(Ordering::Relaxed);
        at_ms < self.0.time.at(since_ms).saturating_add(SKEW_MS)
    }

    fn now(&self) -> u64 {
        self.0.time.now_ms()
    }

    /// Tells who waits for it that something may have become possible to take.
    fn tick(&self) {
        self.0.changed.send_modify(|version| *version += 1);
    }
}

fn options(
    settings: &Settings,
    connections: &Arc<Connections>,
    time: &Arc<Time>,
) -> Result<ConnectOptions, NatsError> {
    let (connections, time) = (Arc::clone(connections), Arc::clone(time));
    let mut options = settings.login.options()?;
    if let Some(authorities) = &settings.authorities {
        options = login::trusting(options, authorities)?;
    }
    let options = options
        .name("ferrofaas")
        .retry_on_initial_connect()
        .max_reconnects(None)
        .reconnect_delay_callback(|attempt| {
            let doubled = u32::try_from(attempt).unwrap_or(u32::MAX).min(16);
            (FIRST_DELAY * 2u32.saturating_pow(doubled)).min(LONGEST_DELAY)
        })
        .ping_interval(Duration::from_secs(10))
        .event_callback(move |event| {
            if event == Event::Connected {
                connections.count.fetch_add(1, Ordering::Relaxed);
                connections
                    .since_ms
                    .store(time.ours_ms(), Ordering::Relaxed);
            }
            async move {
                match event {
                    Event::Connected => tracing::info!("connected to NATS"),
                    Event::Disconnected => tracing::warn!("the connection to NATS is lost"),
                    event => tracing::warn!(%event, "NATS"),
                }
            }
        });
    Ok(options)
}
