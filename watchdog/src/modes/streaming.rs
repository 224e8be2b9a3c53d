//! Streaming: a process per call, the request on stdin as it comes, the answer as the process writes it.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt, once};
use http::{Method, Request, StatusCode};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::body::{self, BodyError};
use super::forked;
use crate::access::Access;
use crate::answer::{self, Response};
use crate::go_text;
use crate::process::{Broken, Errors, Process, Sink, StartError};
use crate::request::{Body, Call};
use crate::server::Ends;
use crate::watchdog::App;

/// How long the rest of an upload is taken in after the answer, so that a caller who is still sending gets to read it.
const LINGER: Duration = Duration::from_secs(2);

/// Runs the function for one request. What it writes is sent at once, while the request may still be coming in.
///
/// Dropped when the caller hangs up, like the answer's body, which kills the process.
pub(crate) async fn call(app: &App, request: Request<Body>) -> Response {
    let started = Instant::now();
    let ends = body::ends(&request);
    let (call, body) = Call::of(request);
    let access = Access::new(app, &call, started);
    let input = body::pieces(body, body::due(app, started)).boxed();
    let run = match forked::start(app, &call) {
        Ok(process) => Run {
            process,
            input,
            errors: forked::errors(app),
            deadline: forked::deadline(app, &call, started),
            ends,
            access,
        },
        Err(error) => return refuse(input, access, &error),
    };
    let (sender, output) = mpsc::channel(1);
    // A task of its own: the process has to be fed, timed and logged also while the caller is not reading.
    let mut task = JoinSet::new();
    task.spawn(run.finish(Output(sender)));
    let response = respond(app, &call.method, output).await;
    answer::holding(response, task)
}

/// The status is decided by what comes first, a piece of output or a failure.
async fn respond(app: &App, method: &Method, mut output: Pieces) -> Response {
    let first = match *method {
        // Nobody takes the output, but the process is to write all of it.
        Method::HEAD => last(&mut output).await,
        _ => output.recv().await,
    };
    match first {
        Some(Err(failure)) => failure.answer(),
        Some(Ok(first)) => {
            let pieces = once(async { Ok(first) }).chain(rest(output));
            forked::typed(app, answer::stream(StatusCode::OK, pieces))
        }
        None => forked::typed(app, answer::empty(StatusCode::OK)),
    }
}

/// Waits for the end; the failure, if that is what it is.
async fn last(output: &mut Pieces) -> Option<Result<Bytes, Failure>> {
    while let Some(piece) = output.recv().await {
        if piece.is_err() {
            return Some(piece);
        }
    }
    None
}

/// A failure breaks the connection off, so that nobody takes what was sent for all of it.
fn rest(output: Pieces) -> impl Stream<Item = io::Result<Bytes>> {
    futures_util::stream::unfold(output, |mut output| async move {
        let piece = output.recv().await?;
        Some((
            piece.map_err(|failure| io::Error::other(failure.words)),
            output,
        ))
    })
}

/// The process could not be started.
fn refuse(input: Input, mut access: Access, error: &StartError) -> Response {
    let failure = Failure {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        words: error.to_string(),
        by_function: false,
    };
    log!("{}", failure.words);
    access.status = failure.status.as_u16();
    linger(input);
    failure.answer()
}

type Input = futures_util::stream::BoxStream<'static, Result<Bytes, BodyError>>;
type Pieces = mpsc::Receiver<Result<Bytes, Failure>>;

/// One execution, with all that belongs to it.
struct Run {
    process: Process,
    input: Input,
    errors: Errors,
    deadline: Option<Instant>,
    ends: Option<Ends>,
    access: Access,
}

impl Run {
    async fn finish(self, output: Output) {
        let Self {
            process,
            mut input,
            errors,
            deadline,
            ends,
            mut access,
        } = self;
        let mut output = Counted {
            output,
            access: &mut access,
        };
        let ended = process
            .stream(&mut input, &mut output, errors, deadline)
            .await;
        let sender = output.output.0;
        match ended {
            Ok(()) => access.status = StatusCode::OK.as_u16(),
            Err(broken) => {
                let failure = Failure::of(&broken, ends);
                log!("{}", failure.words);
                access.status = failure.status.as_u16();
                let _ = sender.send(Err(failure)).await;
            }
        }
        linger(input);
    }
}

/// Takes in what a caller is still sending, for a while.
fn linger(mut input: Input) {
    tokio::spawn(timeout(LINGER, async move {
        while let Some(Ok(_)) = input.next().await {}
    }));
}

struct Output(mpsc::Sender<Result<Bytes, Failure>>);

/// Hands the output on, and counts it.
struct Counted<'a> {
    output: Output,
    access: &'a mut Access,
}

impl Sink for Counted<'_> {
    async fn take(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.access.bytes += chunk.len() as u64;
        let sent = self.output.0.send(Ok(Bytes::copy_from_slice(chunk))).await;
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Why an answer is not complete, or is none.
struct Failure {
    status: StatusCode,
    words: String,
    /// Whether the function ended by itself.
    by_function: bool,
}

impl Failure {
    /// The only place where such a failure becomes a number.
    fn of(broken: &Broken<BodyError>, ends: Option<Ends>) -> Self {
        let (status, words) = match broken {
            Broken::Ended(status) => (500, go_text::end(*status)),
            Broken::TimedOut => (500, "signal: killed".to_owned()),
            Broken::Io(error) => (500, go_text::error(error)),
            Broken::Input(error) => match error.told(ends) {
                Some((words, _)) => (400, words),
                None => (500, "context deadline exceeded".to_owned()),
            },
        };
        Self {
            status: StatusCode::from_u16(status).unwrap_or_default(),
            words,
            by_function: matches!(broken, Broken::Ended(_)),
        }
    }

    fn answer(self) -> Response {
        if self.by_function {
            answer::plain(self.status, format!("{}\n", self.words))
        } else {
            answer::fault(self.status, &self.words)
        }
    }
}
