//! The caller's body, as it comes or whole.

use std::io;

use bytes::Bytes;
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};
use http::Request;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::request::Body;
use crate::server::Ends;
use crate::spool::{Kept, Spool};
use crate::watchdog::App;

/// Why a body is not there, or not whole.
pub(crate) enum BodyError {
    /// The caller stopped before the end, or broke the protocol.
    Broken { read: u64 },
    /// `read_timeout` passed.
    Stalled { read: u64 },
    /// The caller's own time passed.
    OutOfTime,
    /// It could not be kept.
    Spool(io::Error),
}

/// The addresses of the request's connection, for an error text.
pub(super) fn ends(request: &Request<Body>) -> Option<Ends> {
    request.extensions().get().copied()
}

/// When a body that began to come in at `started` has to be there.
pub(super) fn due(app: &App, started: Instant) -> Option<Instant> {
    let limit = app.config.read_timeout.get()?;
    started.checked_add(limit)
}

/// Reads the body to its end.
pub(super) async fn keep(
    app: &App,
    mut body: Body,
    started: Instant,
    patience: Option<Instant>,
) -> Result<Kept, BodyError> {
    let deadline = earlier(due(app, started), patience);
    let mut spool = Spool::new(&app.config.temporary_directory);
    let mut read = 0;
    loop {
        match next(&mut body, deadline, &mut read).await {
            Some(Ok(piece)) => spool.write(&piece).await.map_err(BodyError::Spool)?,
            Some(Err(BodyError::Stalled { .. })) if patience.is_some() && deadline == patience => {
                return Err(BodyError::OutOfTime);
            }
            Some(Err(error)) => return Err(error),
            None => return spool.finish().await.map_err(BodyError::Spool),
        }
    }
}

/// The pieces of a body as they come; the wait for any of them ends when it is due.
pub(super) fn pieces(
    body: Body,
    due: Option<Instant>,
) -> impl Stream<Item = Result<Bytes, BodyError>> {
    let pieces = unfold((body, 0), move |(mut body, mut read)| async move {
        let piece = next(&mut body, due, &mut read).await?;
        Some((piece, (body, read)))
    });
    // May be asked again after the end.
    pieces.fuse()
}

async fn next(
    body: &mut Body,
    deadline: Option<Instant>,
    read: &mut u64,
) -> Option<Result<Bytes, BodyError>> {
    loop {
        let frame = match deadline {
            // What is there already is taken, however late.
            Some(deadline) => timeout_at(deadline, body.frame()).await,
            None => Ok(body.frame().await),
        };
        let frame = match frame {
            Err(_) => return Some(Err(BodyError::Stalled { read: *read })),
            Ok(frame) => frame?,
        };
        let Ok(frame) = frame else {
            return Some(Err(BodyError::Broken { read: *read }));
        };
        if let Ok(piece) = frame.into_data() {
            *read += piece.len() as u64;
            return Some(Ok(piece));
        }
    }
}

impl BodyError {
    /// What the caller did, and how much had been read; none where it is not the caller's doing.
    pub(super) fn told(&self, ends: Option<Ends>) -> Option<(String, u64)> {
        match self {
            Self::Broken { read } => Some(("unexpected EOF".to_owned(), *read)),
            Self::Stalled { read } => Some((stalled(ends), *read)),
            Self::OutOfTime | Self::Spool(_) => None,
        }
    }
}

pub(super) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

// Compat: the words of the original's network library.
fn stalled(ends: Option<Ends>) -> String {
    let ends = ends.map_or(String::new(), |Ends { local, remote, .. }| {
        format!(" {local}->{remote}")
    });
    format!("read tcp{ends}: i/o timeout")
}
