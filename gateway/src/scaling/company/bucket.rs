//! Where the lease is written: a key of a JetStream key-value bucket, over what was read there and nothing else.

use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::{Context, ContextBuilder, PublishError, PublishErrorKind};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, LastRawMessageErrorKind, RawMessageError, StorageType,
};
use async_nats::{Client, HeaderMap};

/// The bucket, as buckets are everywhere, and the key in it.
const STREAM: &str = "KV_OF_leader";
const SUBJECTS: &str = "$KV.OF_leader.>";
const KEY: &str = "$KV.OF_leader.scaling";
/// The key's last revision has to be this one, or there must be none (0), or nothing is written.
const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";
/// How long the server has to answer.
const ANSWER: Duration = Duration::from_secs(2);

pub(super) struct Bucket {
    client: Client,
    context: Context,
    replicas: usize,
}

impl Bucket {
    pub(super) fn at(client: Client, replicas: usize) -> Self {
        let context = ContextBuilder::new()
            .timeout(ANSWER)
            .ack_timeout(ANSWER)
            .build(client.clone());
        Self {
            client,
            context,
            replicas,
        }
    }

    /// What is written, and its revision. The bucket is made where there is none.
    pub(super) async fn read(&self) -> Result<Option<(u64, String)>, String> {
        // The client would wait for a connection.
        if self.client.connection_state() != State::Connected {
            return Err("there is no connection to NATS".to_owned());
        }
        let read = match self.last().await {
            Err(error) if error.kind() != LastRawMessageErrorKind::NoMessageFound => {
                self.make().await?;
                self.last().await
            }
            read => read,
        };
        match read {
            Ok(message) => {
                let text = String::from_utf8_lossy(&message.payload).into_owned();
                Ok(Some((message.sequence, text)))
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Writes over this revision. Whether it is still the last one, and so was written over.
    pub(super) async fn write(&self, text: &str, revision: u64) -> Result<bool, String> {
        let mut headers = HeaderMap::new();
        headers.insert(EXPECTED, revision.to_string().as_str());
        let body = text.to_owned().into();
        let sent = self.context.publish_with_headers(KEY, headers, body).await;
        let acknowledged = match sent {
            Ok(acknowledged) => acknowledged.await,
            Err(error) => Err(error),
        };
        match acknowledged {
            Ok(_) => Ok(true),
            Err(error) if is_late(&error) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    /// From the leader of the stream, so that what was written before is seen.
    async fn last(&self) -> Result<StreamMessage, RawMessageError> {
        let stream = self.context.get_stream_no_info(STREAM).await;
        let stream = stream
            .map_err(|error| RawMessageError::with_source(LastRawMessageErrorKind::Other, error))?;
        stream.get_last_raw_message_by_subject(KEY).await
    }

    async fn make(&self) -> Result<(), String> {
        let config = Config {
            name: STREAM.to_owned(),
            subjects: vec![SUBJECTS.to_owned()],
            storage: StorageType::File,
            num_replicas: self.replicas,
            max_messages_per_subject: 1,
            discard: DiscardPolicy::New,
            allow_rollup: true,
            ..Config::default()
        };
        let made = self.context.get_or_create_stream(config).await;
        made.map(drop).map_err(|error| error.to_string())
    }
}

/// Whether somebody else has written first (the server's code for it is in its source, `server/errors.json`).
fn is_late(error: &PublishError) -> bool {
    use std::error::Error as _;
    const WRONG_LAST: u64 = 10071;
    let refusal = error.source().and_then(|source| source.downcast_ref());
    let code = refusal.map(|refusal: &async_nats::jetstream::Error| refusal.error_code().0);
    error.kind() == PublishErrorKind::WrongLastSequence || code == Some(WRONG_LAST)
}
