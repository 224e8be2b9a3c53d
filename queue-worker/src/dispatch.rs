//! Taking calls off the queue: as many as there is room for, and, while there is none, a few of functions that are quick, to
//! begin as soon as a place is free: taking a call waits for the disk, and a place should not.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use faas_queue::{Depth, Error, Taken};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempt;
use crate::fair::{Candidate, share};
use crate::held::Begin;
use crate::limit::Limit;
use crate::worker::Shared;

/// How often the queue is looked at where nothing tells of a change.
const LOOK: Duration = Duration::from_secs(1);
/// One place in so many is kept for functions of which nothing runs.
const RESERVE: usize = 8;
/// For so many places one call may be taken beforehand.
const AHEAD: usize = 2;
/// A function whose calls take no longer is quick.
const QUICK: Duration = Duration::from_millis(100);
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
    Ended(String, Seen, Duration),
}

/// One of the places for running calls; free again when it is dropped, whatever happens.
pub(crate) struct Place {
    function: String,
    seen: Seen,
    began: Instant,
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
        let _ = self
            .news
            .send(News::Ended(function, self.seen, self.began.elapsed()));
    }
}

/// One function's part.
struct Share {
    /// Calls that run.
    running: usize,
    /// Calls taken beforehand.
    ahead: usize,
    /// Whether the annotations of one of its calls were read; before, one call at a time finds out.
    known: bool,
    quick: bool,
    limit: Limit,
    heard: Instant,
}

impl Share {
    /// Calls that may run at once.
    fn most(&self, now: Instant) -> usize {
        if self.known { self.limit.now(now) } else { 1 }
    }

    /// Further calls that may be taken: for places, or beforehand.
    fn room(&self, beforehand: bool, now: Instant) -> usize {
        let most = self.most(now);
        let ahead = if beforehand && self.quick {
            most / AHEAD
        } else {
            0
        };
        (most + ahead).saturating_sub(self.running + self.ahead)
    }
}

/// How many calls to take beforehand. Taking one costs as much as taking many, so half of them are used up first.
fn missing(most: usize, held: usize) -> usize {
    match most.saturating_sub(held) {
        missing if missing >= most.div_ceil(2) => missing,
        _ => 0,
    }
}

pub(crate) struct Dispatch {
    shared: Arc<Shared>,
    shares: HashMap<String, Share>,
    /// Calls that run.
    running: usize,
    /// Calls taken beforehand, each with what cancels it.
    ahead: VecDeque<(Taken, CancellationToken)>,
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
            ahead: VecDeque::new(),
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
            let wait = match is_open {
                true => self.fill().await,
                false => LOOK,
            };
            // What was taken meanwhile is not begun any more.
            if stop.is_cancelled() {
                break;
            }
            self.start();
            tokio::select! {
                // Whatever else there is to hear.
                biased;
                () = stop.cancelled() => break,
                Some(news) = self.news.recv() => self.hear(news),
                Ok(()) = changes.changed() => {}
                Ok(()) = open.changed() => {}
                () = sleep(wait) => {}
            }
            while let Ok(news) = self.news.try_recv() {
                self.hear(news);
            }
            self.start();
        }
        self.give_back().await;
    }

    /// What was taken beforehand is not begun any more.
    async fn give_back(&mut self) {
        for (taken, _) in std::mem::take(&mut self.ahead) {
            // What cannot be given back comes back when its lease ends.
            if let Err(error) = self.shared.queue.release(&taken).await {
                tracing::warn!(call = %taken.id, %error, "a call could not be given back");
            }
            self.shared.held.end(taken.id);
        }
    }

    /// Takes what there is room for. How long nothing can be expected to change unless it is told.
    async fn fill(&mut self) -> Duration {
        match self.take().await {
            Ok((taken, wait)) => {
                taken.into_iter().for_each(|taken| self.hold(taken));
                wait
            }
            Err(error) => {
                let line = format!("nothing can be taken off the queue: {error}");
                self.shared.warn_once("", &line);
                LOOK
            }
        }
    }

    async fn take(&mut self) -> Result<(Vec<Taken>, Duration), Error> {
        let queue = Arc::clone(&self.shared.queue);
        let places = self.shared.config.max_inflight;
        let free = places - self.running;
        let ahead = missing(places / AHEAD, self.ahead.len());
        if free == 0 && ahead == 0 {
            return Ok((Vec::new(), LOOK));
        }
        let waiting = queue.waiting().await?;
        let (now, now_ms) = (Instant::now(), queue.now_ms());
        self.forget(&waiting, now);
        let (due, later): (Vec<_>, Vec<_>) = waiting
            .iter()
            .partition(|depth| depth.due_ms.is_some_and(|due| due <= now_ms));
        let due_in = later.iter().filter_map(|depth| depth.due_ms);
        let due_in = due_in.map(|due| Duration::from_millis(due - now_ms));
        let shares = self.shares.values();
        let resumes = shares.filter_map(|share| share.limit.resumes());
        let resumes = resumes.filter_map(|at| at.checked_duration_since(now));
        let wait = due_in.chain(resumes).min();
        let wait = wait.map_or(LOOK, |wait| wait.min(LOOK));
        let candidates = self.candidates(&due, false, now);
        let mut wishes = share(free, places / RESERVE, &candidates);
        if wishes.is_empty() {
            wishes = share(ahead, 0, &self.candidates(&due, true, now));
        }
        let taken = match wishes.is_empty() {
            true => Vec::new(),
            false => queue.take(&wishes).await?,
        };
        Ok((taken, wait))
    }

    fn candidates(&mut self, due: &[&Depth], beforehand: bool, now: Instant) -> Vec<Candidate> {
        let candidate = |depth: &&Depth| {
            let share = self.share(&depth.function, now);
            Candidate {
                function: depth.function.clone(),
                waiting: usize::try_from(depth.waiting).unwrap_or(usize::MAX),
                running: share.running,
                room: share.room(beforehand, now),
            }
        };
        due.iter().map(candidate).collect()
    }

    fn share(&mut self, function: &str, now: Instant) -> &mut Share {
        let config = &self.shared.config;
        let new = || Share {
            running: 0,
            ahead: 0,
            known: false,
            quick: false,
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

    /// Holds a call that was taken, until there is a place for it.
    fn hold(&mut self, taken: Taken) {
        match self.shared.held.begin(&taken) {
            Begin::New(cancel) => {
                self.share(&taken.function, Instant::now()).ahead += 1;
                self.ahead.push_back((taken, cancel));
            }
            Begin::Runs => self.shared.metrics.lease_lost.inc(),
        }
    }

    /// Starts calls that were taken, as far as there are places.
    fn start(&mut self) {
        while let Some(at) = self.next() {
            let Some((taken, cancel)) = self.ahead.remove(at) else {
                return;
            };
            self.running += 1;
            let share = self.share(&taken.function, Instant::now());
            share.ahead -= 1;
            share.running += 1;
            let running = share.running;
            self.shared.metrics.running(&taken.function, running);
            let place = Place {
                function: taken.function.clone(),
                seen: Seen::Nothing,
                began: Instant::now(),
                news: self.sender.clone(),
            };
            let shared = Arc::clone(&self.shared);
            self.attempts
                .spawn(attempt::run(shared, taken, cancel, place));
        }
    }

    /// The call that begins next: of the function with the fewest running, which may run another one.
    fn next(&self) -> Option<usize> {
        let places = self.shared.config.max_inflight;
        let free = places - self.running;
        let now = Instant::now();
        let runs = |(_, (taken, _)): &(usize, &(Taken, _))| {
            self.shares
                .get(&taken.function)
                .map_or((0, 1), |share| (share.running, share.most(now)))
        };
        let may = |entry: &(usize, &(Taken, _))| {
            let (running, most) = runs(entry);
            running < most && (running == 0 || free > places / RESERVE)
        };
        let ahead = self.ahead.iter().enumerate();
        let next = ahead
            .filter(may)
            .min_by_key(|entry| runs(entry).0)
            .filter(|_| free > 0);
        next.map(|(at, _)| at)
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
            News::Ended(function, seen, took) => {
                self.running = self.running.saturating_sub(1);
                let share = self.share(&function, now);
                share.quick = took < QUICK;
                match seen {
                    Seen::Success => share.limit.succeeded(share.running, now),
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
            let stays = share.running + share.ahead > 0
                || share.heard + REMEMBERED > now
                || waiting.iter().any(|depth| depth.function == *function);
            if !stays {
                metrics.forget(function);
            }
            stays
        });
    }
}
