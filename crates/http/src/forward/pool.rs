//! Connections to upstreams that wait for their next call.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::Authority;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::connect::Connector;
use super::line::Line;
use super::lost::Lost;

/// How often connections that wait are looked at: those that their other side has closed, or that have waited too long,
/// are closed here.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The connections of one forwarder.
pub(super) struct Pool {
    connector: Connector,
    /// How long a connection may wait.
    idle: Duration,
    waiting: Mutex<Waiting>,
    /// Tells those who wait for a connection.
    freed: Notify,
}

/// Those that no call uses now; the one used last is at the end.
#[derive(Default)]
struct Waiting {
    lines: HashMap<Authority, Vec<Line>>,
    /// Looks at them while there are any.
    sweeper: Option<JoinHandle<()>>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Pool {
    pub(super) fn new(connector: Connector, idle: Duration) -> Arc<Self> {
        Arc::new(Self {
            connector,
            idle,
            waiting: Mutex::default(),
            freed: Notify::new(),
        })
    }

    /// A connection that waits, or a new one, or one that becomes free while that is being opened: a server with a short
    /// queue for newcomers keeps them waiting.
    pub(super) async fn line(&self, authority: &Authority) -> Result<Line, Lost> {
        if let Some(line) = self.take(authority) {
            return Ok(line);
        }
        tokio::select! {
            line = self.freed(authority) => Ok(line),
            stream = self.connector.open(authority) => {
                let line = Line::over(stream?, authority.clone()).await;
                line.map_err(|error| Lost::Unreachable(error.into()))
            }
        }
    }

    async fn freed(&self, authority: &Authority) -> Line {
        loop {
            let freed = self.freed.notified();
            if let Some(line) = self.take(authority) {
                return line;
            }
            freed.await;
        }
    }

    /// Takes the connection back when the call that it was used for is through.
    pub(super) fn lease(self: &Arc<Self>, line: Line) -> Lease {
        Lease {
            line: Some(line),
            pool: Arc::clone(self),
        }
    }

    fn take(&self, authority: &Authority) -> Option<Line> {
        let mut waiting = self.waiting();
        let lines = waiting.lines.get_mut(authority)?;
        while let Some(mut line) = lines.pop() {
            if self.is_good(&mut line) {
                return Some(line);
            }
        }
        None
    }

    fn is_good(&self, line: &mut Line) -> bool {
        line.idle() < self.idle && line.is_free()
    }

    fn put(self: &Arc<Self>, mut line: Line) {
        // At the end of the runtime there are no further calls.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        line.rest();
        let mut waiting = self.waiting();
        match waiting.lines.get_mut(line.authority()) {
            Some(lines) => lines.push(line),
            None => {
                waiting.lines.insert(line.authority().clone(), vec![line]);
            }
        }
        let swept = waiting.sweeper.as_ref();
        if swept.is_none_or(JoinHandle::is_finished) {
            let every = self.idle.min(SWEEP_INTERVAL);
            let sweeper = runtime.spawn(sweep(Arc::downgrade(self), every));
            waiting.sweeper = Some(sweeper);
        }
        drop(waiting);
        self.freed.notify_waiters();
    }

    /// Closes what is of no use any more. Whether anything is left.
    fn sweep(&self) -> bool {
        let mut waiting = self.waiting();
        waiting.lines.retain(|_, lines| {
            lines.retain_mut(|line| self.is_good(line));
            !lines.is_empty()
        });
        if waiting.lines.is_empty() {
            waiting.sweeper = None;
        }
        !waiting.lines.is_empty()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sweep(pool: Weak<Pool>, every: Duration) {
    loop {
        sleep(every).await;
        if !pool.upgrade().is_some_and(|pool| pool.sweep()) {
            return;
        }
    }
}

/// A connection that an answer comes over. Dropped when all of it was read, it waits for the next call; dropped before, it
/// is closed, which is how an upstream hears that nobody wants its answer any more.
pub(super) struct Lease {
    line: Option<Line>,
    pool: Arc<Pool>,
}

impl Lease {
    /// See [`Line::drive`].
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(line) = &mut self.line {
            line.drive(cx);
        }
    }

    /// Has it driven by a task of its own until the call is through, or the upgrade is.
    pub(super) fn detach(mut self) {
        tokio::spawn(async move {
            std::future::poll_fn(|cx| match &mut self.line {
                Some(line) => line.poll_free(cx),
                None => Poll::Ready(()),
            })
            .await;
        });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(mut line) = self.line.take()
            && line.is_through()
        {
            self.pool.put(line);
        }
    }
}
