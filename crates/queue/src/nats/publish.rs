//! Publishing: until the server says that the message is stored, or nobody waits any longer.

use std::error::Error as _;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::connection::State;
use async_nats::jetstream;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::publish::PublishAck;
use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout_at};

use super::Nats;
use crate::{Envelope, Error};

/// How long a caller waits in all.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the server has to answer one message. What is sent while a cluster has no leader is lost: soon after there is
/// one again it is to be sent again.
pub(super) const ACK: Duration = Duration::from_secs(2);
const MOST_ATTEMPTS: u32 = 5;
const LOOK: Duration = Duration::from_millis(20);
/// Names a message: the server stores one of a name only, for a while.
const MESSAGE_ID: &str = "Nats-Msg-Id";

/// A message, ready to be sent again and again under the same name.
pub(super) struct Draft {
    pub(super) subject: String,
    pub(super) id: String,
    pub(super) envelope: Envelope,
}

impl Draft {
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.envelope.headers {
            headers.append(name.as_str(), value.as_str());
        }
        headers.insert(MESSAGE_ID, self.id.as_str());
        headers
    }

    fn payload(&self) -> Bytes {
        self.envelope.payload.clone()
    }
}

/// The subject's last message has to be this one, or there must be none (0), or it is not stored.
const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";

/// What to do after an attempt that failed.
enum Failed {
    /// Something else was stored under this subject first.
    Late,
    /// It may have been stored, or can be soon.
    Again(String),
    /// There is no such stream.
    NoStream,
    /// There is no point.
    Final(Error),
}

impl Nats {
    /// Has a message stored. An attempt of which nothing was heard is made again under the same name, so that it is stored
    /// once; after five, or ten seconds, nobody knows.
    pub(super) async fn publish(&self, message: &Draft) -> Result<PublishAck, Error> {
        let stored = self.publish_or_late(message).await?;
        stored.ok_or_else(|| Error::Unavailable("somebody else was first".to_owned()))
    }

    /// Has a message stored if its subject's last one is still that of `last`, or, with 0, if there is none. The place it
    /// has now; `None` where somebody else was first.
    pub(super) async fn publish_after(
        &self,
        last: u64,
        stream: &str,
        mut message: Draft,
    ) -> Result<Option<u64>, Error> {
        message.envelope.push(EXPECTED, last);
        if let Some(ack) = self.publish_or_late(&message).await? {
            return Ok(Some(ack.sequence));
        }
        // Or it was this very message, of whose storing nothing was heard.
        let stored = self.last_of(stream, &message.subject).await?;
        let ours = stored.filter(|kept| kept.message_id.as_ref() == Some(&message.id));
        Ok(ours.map(|kept| kept.sequence))
    }

    async fn publish_or_late(&self, message: &Draft) -> Result<Option<PublishAck>, Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut words = "there is no connection to NATS".to_owned();
        let mut attempts = 0;
        while attempts < MOST_ATTEMPTS {
            if timeout_at(deadline, self.connected()).await.is_err() {
                break;
            }
            match self.attempt(message, deadline).await {
                Ok(ack) => return Ok(Some(ack)),
                Err(Failed::Late) => return Ok(None),
                Err(Failed::Final(error)) => return Err(error),
                Err(Failed::Again(reason)) => {
                    words = reason;
                    attempts += 1;
                }
                // Nothing was stored: that was no attempt.
                Err(Failed::NoStream) => {
                    words = "there is no stream for it".to_owned();
                    match timeout_at(deadline, self.look_at_streams()).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => words = error.to_string(),
                        Err(_) => break,
                    }
                    sleep(LOOK).await;
                }
            }
            if Instant::now() >= deadline {
                break;
            }
        }
        Err(Error::Unavailable(words))
    }

    /// Refuses what a message cannot hold, with what will be told beside it later on.
    pub(super) fn fits(&self, draft: &Draft) -> Result<(), Error> {
        let pairs = draft.envelope.headers.iter();
        let head: usize = pairs
            .map(|(name, value)| name.len() + value.len() + 4)
            .sum();
        let whole = head + draft.envelope.payload.len();
        // Before the first connection nobody knows; the server will say.
        let known = self.0.client.server_info().max_payload > 0;
        match known && whole > self.most_bytes() {
            true => Err(too_large(draft)),
            false => Ok(()),
        }
    }

    async fn attempt(&self, message: &Draft, deadline: Instant) -> Result<PublishAck, Failed> {
        let subject = message.subject.clone();
        let sent = async {
            let context = &self.0.context;
            let sent = context.publish_with_headers(subject, message.headers(), message.payload());
            sent.await?.await
        };
        match timeout_at(deadline, sent).await {
            Ok(Ok(ack)) => Ok(ack),
            Ok(Err(error)) => Err(self.failed(&error, message)),
            Err(_) => Err(Failed::Again("NATS did not answer in time".to_owned())),
        }
    }

    fn failed(&self, error: &PublishError, message: &Draft) -> Failed {
        match error.kind() {
            PublishErrorKind::StreamNotFound => Failed::NoStream,
            PublishErrorKind::WrongLastSequence => Failed::Late,
            PublishErrorKind::MaxPayloadExceeded => Failed::Final(too_large(message)),
            PublishErrorKind::Other => match refusal(error) {
                Some(refusal) => self.refused(refusal, message),
                None => Failed::Again(error.to_string()),
            },
            _ => Failed::Again(error.to_string()),
        }
    }

    /// What the server's refusal means (its codes are in its source, `server/errors.json`).
    fn refused(&self, refusal: &jetstream::Error, message: &Draft) -> Failed {
        const STORE_FAILED: u64 = 10077;
        const MESSAGE_TOO_LARGE: u64 = 10054;
        const WRONG_LAST: u64 = 10071;
        let settings = &self.0.settings;
        let words = refusal.to_string();
        match refusal.error_code().0 {
            WRONG_LAST => Failed::Late,
            MESSAGE_TOO_LARGE => Failed::Final(too_large(message)),
            STORE_FAILED if words.contains("per subject") => {
                Failed::Final(Error::FunctionFull(settings.most_calls_of_a_function))
            }
            STORE_FAILED if words.contains("maximum messages") => {
                Failed::Final(Error::Full(settings.most_calls))
            }
            _ => Failed::Again(words),
        }
    }

    /// Waits for a connection. Nothing is handed to the client without one: it would keep it, and send it when nobody
    /// waits for it any more.
    async fn connected(&self) {
        while self.0.client.connection_state() != State::Connected {
            sleep(LOOK).await;
        }
    }
}

fn refusal(error: &PublishError) -> Option<&jetstream::Error> {
    error.source()?.downcast_ref()
}

fn too_large(message: &Draft) -> Error {
    Error::TooLarge(message.envelope.payload.len() as u64)
}
