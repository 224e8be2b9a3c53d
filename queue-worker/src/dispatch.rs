//! Taking calls off the queue: as many as there is room for, and no more.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use faas_queue::{Depth, Error, Taken};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempt;
use crate::fair::{Candidate, share};
use crate::limit::Limit;
use crate::worker::Shared;

/// How often the queue is looked at where nothing tells of a change.
const LOOK: Duration = Duration::from_secs(1);
/// One place in so many is kept for functions of which nothing runs.
const RESERVE: usize = 8;
/// How long is remembered what a function bears of which nothing is heard any more.
const REMEMBERED: Duration = Duration::from_secs(600);

/// What an attempt says of its function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It answered well.
    Success,
    /// It had no room (429).
    NoRoom,
    /// Nothing about its room.
    Nothing,
}

enum News {
    /// The annotations of a function's call allow so many at once.
    Allows(String, usize),
    /// A place is free.
    Ended(String, Seen),
}

/// One of the places for running calls; free again when it is dropped, whatever happens.
pub(crate) struct Place {
    function: String,
    seen: Seen,
    news: UnboundedSender<News>,
}

impl Place {
    pub(crate) fn allows(&self, most: usize) {
        // Whoever listens may have stopped.
        let _ = self.news.send(News::Allows(self.function.clone(), most));
    }

    pub(crate) fn end(mut self, seen: Seen) {
        self.seen = seen;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let function = std::mem::take(&mut self.function);
        let _ = self.news.send(News::Ended(function, self.seen));
    }
}

/// One function's part.
struct Share {
    running: usize,
    /// Whether the annotations of one of its calls were read; before, one call at a time finds out.
    known: bool,
    limit: Limit,
    heard: Instant,
}

pub(crate) struct Dispatch {
    shared: Arc<Shared>,
    shares: HashMap<String, Share>,
    running: usize,
    attempts: TaskTracker,
    sender: UnboundedSender<News>,
    news: UnboundedReceiver<News>,
}

impl Dispatch {
    pub(crate) fn new(shared: Arc<Shared>, attempts: TaskTracker) -> Self {
        let (sender, news) = unbounded_channel();
        Self {
            shared,
            shares: HashMap::new(),
            running: 0,
            attempts,
            sender,
            news,
        }
    }

    /// Takes calls and starts them, until it is told to stop.
    pub(crate) async fn run(mut self, stop: &CancellationToken) {
        let mut changes = self.shared.queue.changes();
        let mut open = self.shared.gate.watch();
        loop {
            let is_open = *open.borrow_and_update();
            let wait = match is_open && self.running < self.shared.config.max_inflight {
                true => self.fill(stop).await,
                false => LOOK,
            };
            tokio::select! {
                () = stop.cancelled() => return,
                Some(news) = self.news.recv() => self.hear(news),
                Ok(()) = changes.changed() => {}
                Ok(()) = open.changed() => {}
                () = sleep(wait) => {}
            }
            while let Ok(news) = self.news.try_recv() {
                self.hear(news);
            }
        }
    }

    /// Fills free places. How long nothing can be expected to change unless it is told.
    async fn fill(&mut self, stop: &CancellationToken) -> Duration {
        match self.take().await {
            Ok((taken, wait)) => {
                for call in taken {
                    self.start(call, stop).await;
                }
                wait
            }
            Err(error) => {
                self.shared
                    .warn_once("", &format!("nothing can be taken off the queue: {error}"));
                LOOK
            }
        }
    }

    async fn take(&mut self) -> Result<(Vec<Taken>, Duration), Error> {
        let queue = Arc::clone(&self.shared.queue);
        let waiting = queue.waiting().await?;
        let (now, now_ms) = (Instant::now(), queue.now_ms());
        self.forget(&waiting, now);
        let (due, later): (Vec<_>, Vec<_>) = waiting
            .iter()
            .partition(|depth| depth.due_ms.is_some_and(|due| due <= now_ms));
        let due_in = later.iter().filter_map(|depth| depth.due_ms);
        let due_in = due_in.map(|due| Duration::from_millis(due - now_ms));
        let candidates: Vec<_> = due.iter().map(|depth| self.candidate(depth, now)).collect();
        let resumes = self
            .shares
            .values()
            .filter_map(|share| share.limit.resumes());
        let resumes = resumes.filter_map(|at| at.checked_duration_since(now));
        let wait = due_in
            .chain(resumes)
            .min()
            .map_or(LOOK, |wait| wait.min(LOOK));
        let config = &self.shared.config;
        let free = config.max_inflight - self.running;
        let wishes = share(free, config.max_inflight / RESERVE, &candidates);
        if wishes.is_empty() {
            return Ok((Vec::new(), wait));
        }
        Ok((queue.take(&wishes, config.ack_wait).await?, wait))
    }

    fn candidate(&mut self, depth: &Depth, now: Instant) -> Candidate {
        let share = self.share(&depth.function, now);
        let most = match share.known {
            true => share.limit.now(now),
            false => 1,
        };
        Candidate {
            function: depth.function.clone(),
            waiting: usize::try_from(depth.waiting).unwrap_or(usize::MAX),
            running: share.running,
            room: most.saturating_sub(share.running),
        }
    }

    fn share(&mut self, function: &str, now: Instant) -> &mut Share {
        let config = &self.shared.config;
        let new = || Share {
            running: 0,
            known: false,
            limit: Limit::new(
                config.max_inflight,
                config.limiter_enabled,
                config.initial_retry_wait,
            ),
            heard: now,
        };
        let share = self.shares.entry(function.to_owned()).or_insert_with(new);
        share.heard = now;
        share
    }

    /// Starts a call that was taken; where it is too late for that, gives it back.
    async fn start(&mut self, taken: Taken, stop: &CancellationToken) {
        if stop.is_cancelled() {
            // What cannot be given back comes back when its lease ends.
            if let Err(error) = self.shared.queue.release(&taken).await {
                tracing::warn!(call = %taken.id, %error, "a call could not be given back");
            }
            return;
        }
        let share = self.share(&taken.function, Instant::now());
        share.running += 1;
        self.running += 1;
        let running = self.shares[&taken.function].running;
        self.shared.metrics.running(&taken.function, running);
        let place = Place {
            function: taken.function.clone(),
            seen: Seen::Nothing,
            news: self.sender.clone(),
        };
        self.attempts
            .spawn(attempt::run(Arc::clone(&self.shared), taken, place));
    }

    fn hear(&mut self, news: News) {
        let now = Instant::now();
        match news {
            News::Allows(function, most) => {
                let most = most.min(self.shared.config.max_inflight);
                let share = self.share(&function, now);
                share.known = true;
                share.limit.set_most(most);
            }
            News::Ended(function, seen) => {
                self.running = self.running.saturating_sub(1);
                let share = self.share(&function, now);
                match seen {
                    Seen::Success => share.limit.succeeded(share.running),
                    Seen::NoRoom => share.limit.refused(now),
                    Seen::Nothing => {}
                }
                share.running = share.running.saturating_sub(1);
                let (running, limit) = (share.running, share.limit.now(now));
                self.shared.metrics.running(&function, running);
                self.shared.metrics.limit(&function, limit);
            }
        }
    }

    /// Forgets functions of which nothing was heard for long.
    fn forget(&mut self, waiting: &[Depth], now: Instant) {
        let metrics = &self.shared.metrics;
        self.shares.retain(|function, share| {
            let stays = share.running > 0
                || share.heard + REMEMBERED > now
                || waiting.iter().any(|depth| depth.function == *function);
            if !stays {
                metrics.forget(function);
            }
            stays
        });
    }
}
