//! Taking in the whole request body before any process is started.

use std::io;

use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::{earlier, faulty};
use crate::answer::{self, Response};
use crate::process::Fault;
use crate::request::Body;
use crate::server::Ends;
use crate::spool::{Kept, Spool};
use crate::watchdog::App;

/// Why the body is not there.
pub(super) enum BodyError {
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

/// Reads the body to its end.
pub(super) async fn keep(
    app: &App,
    mut body: Body,
    started: Instant,
    patience: Option<Instant>,
) -> Result<Kept, BodyError> {
    let limit = app.config.read_timeout.get();
    let stall = limit.and_then(|limit| started.checked_add(limit));
    let deadline = earlier(stall, patience);
    let mut spool = Spool::new(&app.config.temporary_directory);
    let mut read = 0;
    loop {
        let frame = match deadline {
            Some(deadline) => timeout_at(deadline, body.frame()).await,
            None => Ok(body.frame().await),
        };
        let frame = match frame {
            Err(_) if patience.is_some() && deadline == patience => {
                return Err(BodyError::OutOfTime);
            }
            Err(_) => return Err(BodyError::Stalled { read }),
            Ok(Some(Err(_))) => return Err(BodyError::Broken { read }),
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => return spool.finish().await.map_err(BodyError::Spool),
        };
        if let Some(bytes) = frame.data_ref() {
            read += bytes.len() as u64;
            spool.write(bytes).await.map_err(BodyError::Spool)?;
        }
    }
}

impl BodyError {
    /// The answer, after which the connection is of no more use: the rest of the body is still on it.
    pub(super) fn answer(self, app: &App, ends: Option<Ends>) -> Response {
        let (words, read) = match self {
            Self::Broken { read } => ("unexpected EOF".to_owned(), read),
            Self::Stalled { read } => (stalled(ends), read),
            Self::OutOfTime => return answer::closing(faulty(app, &Fault::TimedOut)),
            Self::Spool(error) => return answer::closing(faulty(app, &Fault::Spool(error))),
        };
        log!("Error={words}, ReadLen={read}");
        answer::closing(answer::fault(StatusCode::BAD_REQUEST, &words))
    }
}

// Compat: the words of the original's network library.
fn stalled(ends: Option<Ends>) -> String {
    let ends = ends.map_or(String::new(), |Ends { local, remote }| {
        format!(" {local}->{remote}")
    });
    format!("read tcp{ends}: i/o timeout")
}
