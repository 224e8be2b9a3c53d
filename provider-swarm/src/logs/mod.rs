//! The log of a function: what its tasks wrote, and what there is to say of tasks that never got as far.

mod frames;
mod lines;
mod order;

use std::collections::HashSet;
use std::future::pending;
use std::time::Duration;

use faas_provider::{FunctionName, LogMessage, LogRequest, LogStream, ProviderError};
use futures_util::{StreamExt, stream};
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use crate::engine::{Engine, Service, Streamed, Task, filter};
use crate::watch::{Failure, Views};
use frames::Frames;
use lines::Lines;
use order::Order;

/// How long a followed log waits for another line, which may be an older one of another task, before it tells those it has.
const PATIENCE: Duration = Duration::from_millis(150);
/// How long it holds a line back while others keep coming.
const LONGEST: Duration = Duration::from_secs(1);
/// How many failures a followed log remembers that it told, before it forgets those that are over.
const MOST_TOLD: usize = 1_000;
/// Lines on their way to a caller who is slower than they come.
const ROOM: usize = 64;

/// Where a function's log is.
pub(crate) struct Source<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) service: &'a Service,
    /// Why its image cannot be pulled.
    pub(crate) reason: Option<String>,
}

/// The lines asked for, in the order of their times. Dropping the stream ends everything behind it.
pub(crate) async fn read(
    source: Source<'_>,
    name: &FunctionName,
    request: LogRequest,
    views: watch::Receiver<Views>,
) -> Result<LogStream, ProviderError> {
    let failures = source.failures().await?;
    let written = source.open(&request).await?;
    let (sender, receiver) = mpsc::channel(ROOM);
    let reader = Reader {
        name: name.clone(),
        lines: Lines::new(name.clone()),
        order: Order::default(),
        held: None,
        told: HashSet::new(),
        request,
        sender,
    };
    let task = AbortOnDropHandle::new(tokio::spawn(reader.run(written, failures, views)));
    let lines = stream::unfold((receiver, task), |(mut receiver, task)| async move {
        let line = receiver.recv().await?;
        Some((line, (receiver, task)))
    });
    Ok(lines.boxed())
}

impl Source<'_> {
    async fn open(&self, request: &LogRequest) -> Result<Streamed, ProviderError> {
        let since = request
            .since
            .map(|since| since.unix_timestamp().to_string());
        let tail = request.tail.map(|tail| tail.to_string());
        let mut query = vec![
            ("stdout", "1"),
            ("stderr", "1"),
            ("timestamps", "1"),
            ("details", "1"),
        ];
        query.extend(request.follow.then_some(("follow", "1")));
        query.extend(since.as_deref().map(|since| ("since", since)));
        query.extend(tail.as_deref().map(|tail| ("tail", tail)));
        let path = format!("/services/{}/logs", self.service.id);
        Ok(self.engine.stream(&path, &query).await?)
    }

    /// Why tasks of the service ended or cannot begin, as far back as the swarm remembers.
    async fn failures(&self) -> Result<Vec<Failure>, ProviderError> {
        let filters = filter(&[("service", &[&self.service.id])]);
        let tasks: Vec<Task> = self.engine.get("/tasks", &[("filters", &filters)]).await?;
        let force_update = self.service.spec.task_template.force_update;
        let mut failures: Vec<Failure> = tasks
            .iter()
            .filter_map(|task| Failure::of(task, force_update))
            .collect();
        failures
            .iter_mut()
            .for_each(|failure| failure.explain(self.reason.as_ref()));
        Ok(failures)
    }
}

/// Nobody reads any more.
struct Gone;

struct Reader {
    name: FunctionName,
    lines: Lines,
    order: Order,
    /// When the first and the last of the lines that are held back came.
    held: Option<(Instant, Instant)>,
    /// Failures that were told.
    told: HashSet<(String, OffsetDateTime)>,
    request: LogRequest,
    sender: mpsc::Sender<LogMessage>,
}

impl Reader {
    async fn run(
        mut self,
        written: Streamed,
        failures: Vec<Failure>,
        views: watch::Receiver<Views>,
    ) {
        for failure in failures {
            if self.tell(&failure).await.is_err() {
                return;
            }
        }
        // An error says that nobody listens.
        let _ = match self.request.follow {
            false => self.past(written).await,
            true => self.future(written, views).await,
        };
    }

    /// Until the engine has no more lines.
    async fn past(&mut self, mut written: Streamed) -> Result<(), Gone> {
        let mut frames = Frames::default();
        while let Some(piece) = written.next().await {
            if !self.take(&mut frames, &piece).await? {
                break;
            }
        }
        self.flush(true).await
    }

    /// Until the function is gone, or the engine's stream ends.
    async fn future(
        &mut self,
        mut written: Streamed,
        mut views: watch::Receiver<Views>,
    ) -> Result<(), Gone> {
        let mut frames = Frames::default();
        loop {
            // Not counted anew when something else happens: in a busy swarm something always does.
            let due = self.due();
            tokio::select! {
                piece = written.next() => match piece {
                    Some(piece) => if !self.take(&mut frames, &piece).await? { break },
                    None => break,
                },
                () = due_at(due) => self.flush(false).await?,
                changed = views.changed() => {
                    let view = views.borrow_and_update().get(&self.name).cloned();
                    let (Ok(()), Some(view)) = (changed, view) else { break };
                    for failure in &view.failures {
                        self.tell(failure).await?;
                    }
                    if self.told.len() > MOST_TOLD {
                        // What the swarm has forgotten does not come again.
                        let known = |told: &(String, OffsetDateTime)| {
                            view.failures.iter().any(|failure| failure.task == told.0)
                        };
                        self.told.retain(known);
                    }
                }
                () = self.sender.closed() => return Err(Gone),
            }
        }
        self.flush(true).await
    }

    /// Takes what came; whether more can be read.
    async fn take(&mut self, frames: &mut Frames, piece: &[u8]) -> Result<bool, Gone> {
        frames.push(piece);
        loop {
            match frames.next() {
                Ok(Some(payload)) => {
                    if let Some(line) = self.lines.push(&payload) {
                        self.hold(line).await?;
                    }
                }
                Ok(None) => return Ok(true),
                Err(error) => {
                    tracing::warn!(function = %self.name, %error, "the engine's log cannot be read on");
                    return Ok(false);
                }
            }
        }
    }

    /// Says once why a task ended or cannot begin.
    async fn tell(&mut self, failure: &Failure) -> Result<(), Gone> {
        if !self.told.insert((failure.task.clone(), failure.when)) {
            return Ok(());
        }
        let text = format!("provider: {}", failure.text);
        let line = self
            .lines
            .message(failure.task.as_bytes(), failure.when, text.as_bytes());
        self.hold(line).await
    }

    /// Holds a wanted line back until those before it are told.
    async fn hold(&mut self, line: LogMessage) -> Result<(), Gone> {
        let wanted = self
            .request
            .since
            .is_none_or(|since| line.timestamp >= since)
            && self
                .request
                .instance
                .as_ref()
                .is_none_or(|instance| *instance == line.instance);
        if !wanted {
            return Ok(());
        }
        let now = Instant::now();
        self.held = Some((self.held.map_or(now, |(first, _)| first), now));
        self.order.push(line);
        while let Some(oldest) = self.order.overflow() {
            self.send(oldest).await?;
        }
        Ok(())
    }

    /// Tells all that is held back; at the end also lines that have none.
    async fn flush(&mut self, end: bool) -> Result<(), Gone> {
        if end {
            for line in self.lines.rest() {
                self.hold(line).await?;
            }
        }
        while let Some(line) = self.order.pop() {
            self.send(line).await?;
        }
        self.held = None;
        Ok(())
    }

    /// When the lines that are held back are to be told, if there are any.
    fn due(&self) -> Option<Instant> {
        let (first, last) = self.held?;
        Some((last + PATIENCE).min(first + LONGEST))
    }

    async fn send(&self, line: LogMessage) -> Result<(), Gone> {
        self.sender.send(line).await.map_err(|_| Gone)
    }
}

async fn due_at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
