//! The queue on NATS JetStream: so far the side where calls are put in.

mod names;
mod publish;
mod streams;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::{Context, ContextBuilder};
use async_nats::{Client, ConnectOptions, Event};
use tokio::time::{sleep, timeout};

use crate::queue::{Accepted, NewCall};
use crate::{Error, InvocationId, format};
use names::Names;
use publish::Message;
use streams::StreamError;

/// When a call may be made, in milliseconds since 1970.
const DUE: &str = "OF-Due";
/// How long a start waits for the server; it goes on without it.
const START: Duration = Duration::from_secs(5);
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// How to reach NATS, and what the queue holds at most.
#[derive(Clone)]
pub struct Settings {
    /// `host:port`, several separated by commas.
    pub servers: String,
    /// Who we are.
    pub login: Login,
    /// The queue's name.
    pub queue: String,
    /// How many servers keep each stream: 1, or 3 in a cluster.
    pub replicas: usize,
    /// Most calls that wait.
    pub most_calls: u64,
    /// Most calls that wait of one function.
    pub most_calls_of_a_function: u64,
}

/// What NATS is shown.
#[derive(Clone, Default)]
pub enum Login {
    /// Nothing.
    #[default]
    None,
    /// A name and a password.
    User(String, String),
    /// A token.
    Token(String),
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
    /// A stream is there already, and is not ours.
    #[error("{0}")]
    Streams(String),
}

/// The queue on NATS. Cheap to clone.
#[derive(Clone)]
pub struct Nats(Arc<Inner>);

struct Inner {
    settings: Settings,
    names: Names,
    client: Client,
    context: Context,
    /// What is wrong with the streams.
    trouble: RwLock<Option<String>>,
}

impl Nats {
    /// Connects, and goes on trying for ever where there is no server yet, or no longer. The streams are made where they
    /// are missing.
    ///
    /// # Errors
    /// See [`NatsError`]. A server that is not there is none.
    pub async fn connect(settings: Settings) -> Result<Self, NatsError> {
        let client = options(&settings).connect(&settings.servers).await;
        let client = client.map_err(|error| NatsError::Address {
            servers: settings.servers.clone(),
            reason: error.to_string(),
        })?;
        let context = ContextBuilder::new()
            .timeout(START)
            .ack_timeout(publish::ACK)
            .build(client.clone());
        let nats = Self(Arc::new(Inner {
            names: Names::of(&settings.queue),
            trouble: RwLock::new(Some("the streams were not looked at yet".to_owned())),
            settings,
            client,
            context,
        }));
        let first = async {
            while nats.0.client.connection_state() != State::Connected {
                sleep(FIRST_DELAY).await;
            }
            nats.look_at_streams().await
        };
        match timeout(START, first).await {
            Ok(Err(error @ StreamError::Foreign { .. })) => {
                return Err(NatsError::Streams(error.to_string()));
            }
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => {
                tracing::warn!("NATS is not there yet; asynchronous calls are refused until it is");
                tokio::spawn(nats.clone().keep_looking());
            }
        }
        Ok(nats)
    }

    /// Stores a call; the server has it when this returns, and as many servers as the settings say.
    ///
    /// # Errors
    /// When it is not stored, as far as anybody knows.
    pub async fn accept(&self, new: NewCall) -> Result<Accepted, Error> {
        let key = new.idempotency.map(|key| hex(&key));
        let secret = new.call.id;
        let id = key.unwrap_or_else(|| secret.to_string());
        let mut envelope = format::encode_call(&new.call);
        let delayed = !new.delay.is_zero();
        let subject = match delayed {
            true => self.0.names.delayed_subject(),
            false => self.0.names.subject(&new.call.function),
        };
        if delayed {
            let after = u64::try_from(new.delay.as_millis()).unwrap_or(u64::MAX);
            envelope.push(DUE, new.call.accepted_ms.saturating_add(after));
        }
        let message = Message {
            subject,
            id,
            envelope,
        };
        let ack = self.publish(&message).await?;
        let secret = match ack.duplicate {
            // Where it is gone already it was made already, and nobody can be told of it by this id.
            true => self
                .secret_of(delayed, ack.sequence)
                .await?
                .unwrap_or(secret),
            false => secret,
        };
        Ok(Accepted {
            id: InvocationId::at(ack.sequence, delayed, secret),
            duplicate: ack.duplicate,
        })
    }

    /// The random part of the id of a call that is stored.
    async fn secret_of(&self, delayed: bool, sequence: u64) -> Result<Option<InvocationId>, Error> {
        let names = &self.0.names;
        let stream = if delayed {
            names.delayed()
        } else {
            names.calls()
        };
        let unavailable = |error: String| Error::Unavailable(error);
        let stream = self.0.context.get_stream_no_info(stream).await;
        let stream = stream.map_err(|error| unavailable(error.to_string()))?;
        let Ok(message) = stream.direct_get(sequence).await else {
            return Ok(None);
        };
        let id = message.headers.get("OF-Id").map(|id| id.as_str().parse());
        Ok(id.and_then(Result::ok))
    }

    /// Why it cannot be used just now; `None` when it can.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match self.0.client.connection_state() {
            State::Connected => {
                let trouble = self.0.trouble.read();
                trouble.unwrap_or_else(PoisonError::into_inner).clone()
            }
            _ => Some("there is no connection to NATS".to_owned()),
        }
    }

    /// Looks at the streams until they are as they have to be.
    async fn keep_looking(self) {
        let mut pause = FIRST_DELAY;
        while self.look_at_streams().await.is_err() {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_DELAY);
        }
        tracing::info!("NATS is there");
    }

    async fn look_at_streams(&self) -> Result<(), StreamError> {
        let Inner {
            context,
            names,
            settings,
            ..
        } = &*self.0;
        let ensured = streams::ensure(context, names, settings).await;
        let words = ensured.as_ref().err().map(ToString::to_string);
        let mut trouble = self.0.trouble.write();
        **trouble
            .as_mut()
            .unwrap_or_else(|poisoned| poisoned.get_mut()) = words;
        ensured
    }

    async fn ensure_streams(&self) -> Result<(), String> {
        let ensured = self.look_at_streams().await;
        ensured.map_err(|error| error.to_string())
    }
}

fn options(settings: &Settings) -> ConnectOptions {
    let options = match settings.login.clone() {
        Login::None => ConnectOptions::new(),
        Login::User(user, password) => ConnectOptions::with_user_and_password(user, password),
        Login::Token(token) => ConnectOptions::with_token(token),
    };
    options
        .name("ferrofaas")
        .retry_on_initial_connect()
        .max_reconnects(None)
        .reconnect_delay_callback(|attempt| {
            let doubled = u32::try_from(attempt).unwrap_or(u32::MAX).min(16);
            (FIRST_DELAY * 2u32.saturating_pow(doubled)).min(LONGEST_DELAY)
        })
        .ping_interval(Duration::from_secs(10))
        .event_callback(|event| async move {
            match event {
                Event::Connected => tracing::info!("connected to NATS"),
                Event::Disconnected => tracing::warn!("the connection to NATS is lost"),
                event => tracing::warn!(%event, "NATS"),
            }
        })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
