//! Reading what streams hold: always from their leader, so that what was written before is seen.

use async_nats::connection::State;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, RawMessageError, Stream};

use super::Nats;
use crate::{Envelope, Error};

/// What the server adds to messages.
const SERVERS: &str = "Nats-";
const MESSAGE_ID: &str = "Nats-Msg-Id";

/// A message as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) sequence: u64,
    pub(super) subject: String,
    /// What it was published under.
    pub(super) message_id: Option<String>,
    /// When it was stored, by the server's clock, in milliseconds since 1970.
    pub(super) at_ms: u64,
    pub(super) envelope: Envelope,
}

impl From<StreamMessage> for Kept {
    fn from(message: StreamMessage) -> Self {
        let id = message.headers.get(MESSAGE_ID);
        Self {
            sequence: message.sequence,
            message_id: id.map(|id| id.as_str().to_owned()),
            at_ms: millis(message.time.unix_timestamp_nanos()),
            envelope: envelope(&message.headers, message.payload),
            subject: message.subject.to_string(),
        }
    }
}

/// A message's headers and payload, without what the server added.
pub(super) fn envelope(headers: &async_nats::HeaderMap, payload: bytes::Bytes) -> Envelope {
    let pairs = headers.iter().flat_map(|(name, values)| {
        let name = name.to_string();
        let values = values.iter();
        values.map(move |value| (name.clone(), value.as_str().to_owned()))
    });
    Envelope {
        headers: pairs
            .filter(|(name, _)| !name.starts_with(SERVERS))
            .collect(),
        payload,
    }
}

/// Nanoseconds as whole milliseconds.
pub(super) fn millis(nanos: i128) -> u64 {
    u64::try_from(nanos / 1_000_000).unwrap_or_default()
}

/// The client's or the server's words, where nothing can be done about it here.
pub(super) fn unavailable(error: impl ToString) -> Error {
    Error::Unavailable(error.to_string())
}

impl Nats {
    /// Refuses at once where there is no connection: the client would wait for one.
    pub(super) fn there(&self) -> Result<(), Error> {
        match self.0.client.connection_state() {
            State::Connected => Ok(()),
            _ => Err(unavailable("there is no connection to NATS")),
        }
    }

    pub(super) async fn stream(&self, name: &str) -> Result<Stream<()>, Error> {
        self.there()?;
        let stream = self.0.context.get_stream_no_info(name).await;
        stream.map_err(unavailable)
    }

    /// The message at a place.
    pub(super) async fn message_at(&self, stream: &str, at: u64) -> Result<Option<Kept>, Error> {
        if at == 0 {
            return Ok(None);
        }
        found(self.stream(stream).await?.get_raw_message(at).await)
    }

    /// The last message of a subject.
    pub(super) async fn last_of(&self, stream: &str, subject: &str) -> Result<Option<Kept>, Error> {
        let stream = self.stream(stream).await?;
        found(stream.get_last_raw_message_by_subject(subject).await)
    }

    /// The first message of a subject from a place on.
    pub(super) async fn next_of(
        &self,
        stream: &str,
        subject: &str,
        from: u64,
    ) -> Result<Option<Kept>, Error> {
        let stream = self.stream(stream).await?;
        let first = stream.get_first_raw_message_by_subject(subject, from.max(1));
        found(first.await)
    }

    /// Removes a message. Whether it was there.
    pub(super) async fn remove(&self, name: &str, at: u64) -> Result<bool, Error> {
        let kept = self.stream(name).await?;
        match kept.delete_message(at).await {
            Ok(removed) => Ok(removed),
            Err(error) => match self.message_at(name, at).await? {
                None => Ok(false),
                Some(_) => Err(unavailable(error)),
            },
        }
    }
}

fn found(result: Result<StreamMessage, RawMessageError>) -> Result<Option<Kept>, Error> {
    match result {
        Ok(message) => Ok(Some(message.into())),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(unavailable(error)),
    }
}
