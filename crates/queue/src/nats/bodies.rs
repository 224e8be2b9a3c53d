//! Bodies that are too large for a message: each an object in a store beside the streams, for as long as its call is there,
//! or the call's dead letter.

use std::collections::HashSet;
use std::time::Duration;

use async_nats::jetstream::object_store::{ObjectMetadata, ObjectStore};
use bytes::Bytes;
use futures_util::TryStreamExt;
use tokio::io::AsyncReadExt;
use tokio::time::{sleep, timeout};

use super::Nats;
use super::publish::Draft;
use super::store::{Kept, unavailable};
use crate::clock::millis;
use crate::{Envelope, Error, FormatError, InvocationId};

/// The object that is a call's body.
const OBJECT: &str = "OF-Body";
/// What its pieces are called.
const PIECES: &str = "OF-Body-Pieces";
/// How many bytes it has.
pub(super) const BYTES: &str = "OF-Body-Bytes";
/// Smaller ones fit whatever the server says.
const SMALL: usize = 64 * 1024;
/// How long is waited for a server to say what it takes.
const WAIT: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);
/// How long storing a body may take, and reading it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a body is.
struct Apart<'e> {
    object: &'e str,
    pieces: &'e str,
    bytes: usize,
}

impl<'e> Apart<'e> {
    fn of(envelope: &'e Envelope) -> Result<Option<Self>, FormatError> {
        let Some(object) = envelope.get(OBJECT) else {
            return Ok(None);
        };
        let pieces = envelope.need(PIECES)?;
        // They become parts of subjects, of which everything is removed in the end.
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !plain(object) || !plain(pieces) || pieces.is_empty() {
            return Err(FormatError::garbage("OF-Body names no object"));
        }
        Ok(Some(Self {
            object,
            pieces,
            bytes: envelope.number(BYTES)?.unwrap_or_default(),
        }))
    }
}

impl Nats {
    /// Makes a message fit: a body that is too large for it is stored first, and named in it. Whether it was.
    pub(super) async fn make_fit(&self, draft: &mut Draft) -> Result<bool, Error> {
        if draft.envelope.payload.len() > SMALL {
            // Before the first connection nobody knows what fits.
            let known = async {
                while self.0.client.server_info().max_payload == 0 {
                    sleep(LOOK).await;
                }
            };
            let known = timeout(WAIT, known).await;
            known.map_err(|_| unavailable("there is no connection to NATS"))?;
        }
        let Err(refusal) = self.fits(draft) else {
            return Ok(false);
        };
        let body = std::mem::take(&mut draft.envelope.payload);
        let object = InvocationId::new().to_string();
        draft.envelope.push(OBJECT, &object);
        draft.envelope.push(BYTES, body.len());
        // Even so it may have too many headers.
        self.fits(draft).map_err(|_| refusal)?;
        let stored = timeout(PATIENCE, self.put(&object, &body)).await;
        let pieces = stored.map_err(|_| unavailable("NATS did not store a body in time"))??;
        draft.envelope.push(PIECES, pieces);
        Ok(true)
    }

    async fn put(&self, object: &str, body: &[u8]) -> Result<String, Error> {
        let meta = ObjectMetadata {
            name: object.to_owned(),
            ..ObjectMetadata::default()
        };
        let stored = self.bodies().await?.put(meta, &mut &*body).await;
        Ok(stored.map_err(unavailable)?.nuid)
    }

    /// The body of a call, where it is stored apart.
    pub(super) async fn body_of(&self, envelope: &Envelope) -> Result<Option<Bytes>, Error> {
        let Some(apart) = Apart::of(envelope)? else {
            return Ok(None);
        };
        let read = timeout(PATIENCE, self.get(&apart)).await;
        let body = read.map_err(|_| unavailable("NATS did not hand a body out in time"))??;
        Ok(Some(body))
    }

    async fn get(&self, apart: &Apart<'_>) -> Result<Bytes, Error> {
        let (stream, pieces) = (
            self.0.names.bodies_stream(),
            self.0.names.pieces(apart.pieces),
        );
        let lost = || FormatError::garbage("its body is not there any more");
        if apart.bytes > 0 && self.next_of(&stream, &pieces, 1).await?.is_none() {
            return Err(lost().into());
        }
        let object = self.bodies().await?.get(apart.object).await;
        let mut object = object.map_err(unavailable)?.take(apart.bytes as u64 + 1);
        let mut body = Vec::with_capacity(apart.bytes);
        object.read_to_end(&mut body).await.map_err(unavailable)?;
        match body.len() == apart.bytes {
            true => Ok(body.into()),
            false => Err(lost().into()),
        }
    }

    /// Removes the body of a call that is there no more. Where that fails it is left to the sweep.
    pub(super) async fn drop_body(&self, envelope: &Envelope) {
        let Ok(Some(apart)) = Apart::of(envelope) else {
            return;
        };
        let names = &self.0.names;
        // The pieces last: what is left names them.
        for subject in [names.object(apart.object), names.pieces(apart.pieces)] {
            if let Err(error) = self.clear(&subject).await {
                tracing::debug!(%error, "a body cannot be removed yet");
                return;
            }
        }
    }

    /// Removes bodies that no call and no dead letter has, if they were stored before so long: of calls whose gateway died
    /// before it could queue them, and of dead letters that grew too old. A worker does so every hour. How many.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn sweep_bodies(&self, older: Duration) -> Result<usize, Error> {
        let old = self
            .before(self.now().saturating_sub(millis(older)))
            .await?;
        if old.is_empty() {
            return Ok(0);
        }
        let used = self.in_use().await?;
        let mut swept = HashSet::new();
        for Stored { subject, pieces } in old {
            if !used.contains(&pieces) {
                self.clear(&subject).await?;
                swept.insert(pieces);
            }
        }
        Ok(swept.len())
    }

    /// What was stored before a time.
    async fn before(&self, time_ms: u64) -> Result<Vec<Stored>, Error> {
        let names = &self.0.names;
        let name = names.bodies_stream();
        let stream = self.stream(&name).await?;
        let subjects = stream.info_with_subjects(names.bodies_subject(">")).await;
        let subjects = subjects
            .map_err(unavailable)?
            .map_ok(|(subject, _)| subject);
        let subjects: Vec<String> = subjects.try_collect().await.map_err(unavailable)?;
        let mut stored = Vec::new();
        for subject in subjects {
            let last = self.last_of(&name, &subject).await?;
            if let Some(last) = last.filter(|last| last.at_ms < time_ms) {
                let pieces = pieces_of(&last);
                stored.push(Stored { subject, pieces });
            }
        }
        Ok(stored)
    }

    /// What calls and dead letters name. A call moves from those that were put off to the others, from there to the dead
    /// letters, and back: they are looked through in this order, and then those that came meanwhile.
    async fn in_use(&self) -> Result<HashSet<String>, Error> {
        let names = &self.0.names;
        let mut used = HashSet::new();
        let (calls, every) = (names.calls(), names.calls_subjects());
        self.named_in(&names.delayed(), &names.delayed_subject(), 1, &mut used)
            .await?;
        let next = self.named_in(&calls, &every, 1, &mut used).await?;
        self.named_in(&names.dead(), &names.dead_subjects(), 1, &mut used)
            .await?;
        self.named_in(&calls, &every, next, &mut used).await?;
        Ok(used)
    }

    /// Adds what messages from a place on name. The place after the last one.
    async fn named_in(
        &self,
        stream: &str,
        subject: &str,
        mut from: u64,
        used: &mut HashSet<String>,
    ) -> Result<u64, Error> {
        while let Some(kept) = self.next_of(stream, subject, from).await? {
            from = kept.sequence + 1;
            used.extend(kept.envelope.get(PIECES).map(str::to_owned));
        }
        Ok(from)
    }

    async fn clear(&self, subject: &str) -> Result<(), Error> {
        let stream = self.stream(&self.0.names.bodies_stream()).await?;
        // Never up to a place: the server takes that for all that is there.
        let cleared = stream.purge().filter(subject).await;
        cleared.map(drop).map_err(unavailable)
    }

    async fn bodies(&self) -> Result<ObjectStore, Error> {
        self.there()?;
        let store = self.0.context.get_object_store(self.0.names.bodies()).await;
        store.map_err(unavailable)
    }
}

/// A part of an object: what tells of it, or a piece.
struct Stored {
    subject: String,
    /// What the object's pieces are called.
    pieces: String,
}

fn pieces_of(kept: &Kept) -> String {
    #[derive(serde::Deserialize)]
    struct Told {
        nuid: String,
    }
    let told = serde_json::from_slice(&kept.envelope.payload).map(|told: Told| told.nuid);
    let of_subject = || kept.subject.rsplit('.').next().unwrap_or_default();
    match kept.subject.split('.').nth(2) {
        Some("M") => told.unwrap_or_default(),
        _ => of_subject().to_owned(),
    }
}
