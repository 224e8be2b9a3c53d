//! The streams of a queue: made where they are missing, brought up to date where that can be done, and never deleted.

use std::time::Duration;

use async_nats::jetstream::context::{Context, CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};

use super::Settings;
use super::names::Names;

const DEAD_AGE: Duration = Duration::from_secs(14 * 24 * 60 * 60);
const DEAD_BYTES: i64 = 2 * 1024 * 1024 * 1024;
pub(super) const MOST_CALLBACKS: i64 = 200_000;
const CALLBACK_BYTES: i64 = 2 * 1024 * 1024 * 1024;
const MOST_ENDS: i64 = 1_000_000;
const END_BYTES: i64 = 2 * 1024 * 1024 * 1024;
/// What a stream is given at least, and in which steps it is given less.
const LEAST_BYTES: i64 = 1024 * 1024;
const PART: i64 = 4;
/// How long is known what went before an attempt, and that a call was cancelled: as long as a call lives, and more.
const KNOWN: Duration = Duration::from_secs(48 * 60 * 60);
/// How long NATS knows the id of a message: an idempotency key's time.
const DUPLICATES: Duration = Duration::from_secs(10 * 60);

/// Why a queue's streams cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    /// One is there, and is not what it has to be; that cannot be changed.
    #[error(
        "stream {name}: its {what} is not ours, and cannot be changed; give it another name, or the queue"
    )]
    Foreign {
        /// The stream.
        name: String,
        /// What differs.
        what: &'static str,
    },
    /// The server does not do it, now.
    #[error("stream {name}: {reason}")]
    Refused {
        /// The stream.
        name: String,
        /// Its words.
        reason: String,
    },
}

/// Every stream of a queue as it has to be.
fn wanted(names: &Names, settings: &Settings) -> Vec<Config> {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let common = Config {
        storage: StorageType::File,
        num_replicas: settings.replicas,
        duplicate_window: DUPLICATES,
        allow_direct: true,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: -1,
        max_message_size: -1,
        max_consumers: -1,
        ..Config::default()
    };
    let calls = Config {
        name: names.calls(),
        subjects: vec![names.calls_subjects()],
        retention: RetentionPolicy::WorkQueue,
        discard: DiscardPolicy::New,
        discard_new_per_subject: true,
        max_messages: count(settings.most_calls),
        max_messages_per_subject: count(settings.most_calls_of_a_function),
        ..common.clone()
    };
    let delayed = Config {
        name: names.delayed(),
        subjects: vec![names.delayed_subject()],
        retention: RetentionPolicy::WorkQueue,
        discard: DiscardPolicy::New,
        max_messages: count(settings.most_calls),
        ..common.clone()
    };
    let dead = Config {
        name: names.dead(),
        subjects: vec![names.dead_subjects()],
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        max_age: DEAD_AGE,
        max_bytes: DEAD_BYTES,
        ..common.clone()
    };
    let callbacks = Config {
        name: Names::callbacks(),
        subjects: vec!["openfaas.callback.*".to_owned()],
        retention: RetentionPolicy::WorkQueue,
        discard: DiscardPolicy::New,
        max_messages: MOST_CALLBACKS,
        max_bytes: CALLBACK_BYTES,
        ..common.clone()
    };
    let bucket = |name: String, subjects: String| Config {
        name,
        subjects: vec![subjects],
        max_messages_per_subject: 1,
        discard: DiscardPolicy::New,
        allow_rollup: true,
        ..common.clone()
    };
    let ends = Config {
        max_age: settings.result_ttl,
        max_messages: MOST_ENDS,
        max_bytes: END_BYTES,
        // An end that is pushed out is not known any more, and counted all the same.
        discard: DiscardPolicy::Old,
        ..bucket(names.ends(), names.end_subject(">"))
    };
    let attempts = Config {
        max_age: KNOWN,
        ..bucket(names.attempts(), names.attempt_subject(">"))
    };
    let cancels = Config {
        max_age: KNOWN,
        ..bucket(names.cancels(), names.cancel_subject(">"))
    };
    let counts = bucket(Names::counts(), "$KV.OF_books.>".to_owned());
    // As object stores are everywhere.
    let bodies = Config {
        name: names.bodies_stream(),
        subjects: ["C.>", "M.>"].map(|kind| names.bodies_subject(kind)).into(),
        discard: DiscardPolicy::New,
        allow_rollup: true,
        ..common.clone()
    };
    vec![
        calls, delayed, dead, callbacks, ends, attempts, cancels, counts, bodies,
    ]
}

/// Sees to it that every stream of a queue is there and as it has to be. Those that were made.
pub(super) async fn ensure(
    context: &Context,
    names: &Names,
    settings: &Settings,
) -> Result<Vec<String>, StreamError> {
    let mut made = Vec::new();
    for config in wanted(names, settings) {
        let name = config.name.clone();
        if ensure_one(context, config).await? {
            made.push(name);
        }
    }
    Ok(made)
}

/// Whether it was made.
async fn ensure_one(context: &Context, wanted: Config) -> Result<bool, StreamError> {
    let name = wanted.name.clone();
    let refused = |reason: String| StreamError::Refused {
        name: name.clone(),
        reason,
    };
    let found = match context.get_stream(&name).await {
        Ok(stream) => stream.cached_info().config.clone(),
        Err(error) if is_missing(error.kind()) => {
            let made = create(context, wanted).await;
            return made.map(|()| true).map_err(refused);
        }
        Err(error) => return Err(refused(error.to_string())),
    };
    let foreign = |what| {
        let name = name.clone();
        Err(StreamError::Foreign { name, what })
    };
    if found.retention != wanted.retention {
        return foreign("retention");
    }
    if found.storage != wanted.storage {
        return foreign("storage");
    }
    match is_current(&found, &wanted) {
        true => Ok(false),
        false => {
            tracing::info!(stream = name, "a stream is brought up to date");
            let updated = context.update_stream(wanted).await;
            updated
                .map(|_| false)
                .map_err(|error| refused(error.to_string()))
        }
    }
}

/// Makes a stream. A server reserves what a stream may hold: where there is not as much room, the stream is to hold less,
/// and leaves room for others.
async fn create(context: &Context, mut wanted: Config) -> Result<(), String> {
    loop {
        let error = match context.create_stream(&wanted).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if !has_no_room(&error.kind()) || wanted.max_bytes / PART < LEAST_BYTES {
            return Err(match error.kind() {
                CreateStreamErrorKind::TimedOut => "the server did not answer in time".to_owned(),
                _ => error.to_string(),
            });
        }
        wanted.max_bytes /= PART;
        let (stream, bytes) = (&wanted.name, wanted.max_bytes);
        tracing::warn!(
            stream,
            bytes,
            "NATS has less room than this stream is to have"
        );
    }
}

fn has_no_room(kind: &CreateStreamErrorKind) -> bool {
    const NO_STORAGE: u64 = 10047;
    matches!(kind, CreateStreamErrorKind::JetStream(error) if error.error_code().0 == NO_STORAGE)
}

fn is_missing(kind: GetStreamErrorKind) -> bool {
    const NOT_FOUND: u64 = 10059;
    matches!(kind, GetStreamErrorKind::JetStream(error) if error.error_code().0 == NOT_FOUND)
}

/// Whether everything that we set is as we set it; newer servers fill in more.
fn is_current(found: &Config, wanted: &Config) -> bool {
    found.subjects == wanted.subjects
        && found.discard == wanted.discard
        && found.discard_new_per_subject == wanted.discard_new_per_subject
        && found.max_messages == wanted.max_messages
        && (found.max_bytes == wanted.max_bytes
            || (LEAST_BYTES..wanted.max_bytes).contains(&found.max_bytes))
        && found.max_messages_per_subject == wanted.max_messages_per_subject
        && found.max_age == wanted.max_age
        && found.num_replicas == wanted.num_replicas
        && found.duplicate_window == wanted.duplicate_window
        && found.allow_direct == wanted.allow_direct
}
