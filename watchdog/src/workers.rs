//! The threads that connections are spread over: as many as there are processors for us, each with a runtime of its own.
//!
//! A connection stays on its thread, with everything that is done for its calls, so that no call is handed from thread to
//! thread. Threads are started when there are connections for them: most functions have one caller, and there may be
//! hundreds of watchdogs on a machine.

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::{self, JoinHandle, available_parallelism};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

/// Most threads that serve connections. More would spend memory in every function for what one function seldom needs.
pub(crate) const MOST: usize = 4;

/// How many connections a thread has before another is started: one caller after the other needs only one, although the
/// connection of the last may not be closed yet when the next one comes.
const ENOUGH: usize = 2;

/// The threads; the first is the one that made them. Dropping them ends all that goes on there.
pub(crate) struct Workers {
    workers: Vec<Worker>,
    most: usize,
}

struct Worker {
    runtime: Handle,
    /// Shared with each of its connections: its count tells how many there are.
    load: Arc<()>,
    /// Taken when the thread is to end; the first worker's thread is not ours to end.
    thread: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// A connection's place at a worker, until it is dropped.
pub(crate) struct Seat {
    /// Which worker it is, below [`MOST`].
    pub(crate) worker: usize,
    pub(crate) runtime: Handle,
    _load: Arc<()>,
}

impl Workers {
    /// The thread of this runtime alone; others join it as they are needed, until there are `most`.
    pub(crate) fn up_to(most: usize) -> Self {
        let here = Worker {
            runtime: Handle::current(),
            load: Arc::default(),
            thread: None,
        };
        Self {
            workers: vec![here],
            most: most.min(MOST),
        }
    }

    /// A place at the worker with the fewest connections. Another worker is started for it if there may be more and each
    /// has enough.
    pub(crate) fn seat(&mut self) -> Seat {
        let mut workers = self.workers.iter();
        if workers.all(|worker| worker.connections() >= ENOUGH) && self.workers.len() < self.most {
            match Worker::start() {
                Ok(worker) => self.workers.push(worker),
                Err(error) => {
                    log!("Warning: no further thread serves calls: {error}");
                    self.most = self.workers.len();
                }
            }
        }
        let loads = self.workers.iter().map(Worker::connections);
        let least = loads
            .enumerate()
            .min_by_key(|(_, connections)| *connections);
        let worker = least.map_or(0, |(worker, _)| worker);
        Seat {
            worker,
            runtime: self.workers[worker].runtime.clone(),
            _load: Arc::clone(&self.workers[worker].load),
        }
    }
}

impl Worker {
    fn start() -> io::Result<Self> {
        let runtime = runtime()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            let _ = runtime.block_on(stopped);
            // A disk that hangs must not hold up the end. What was going on is dropped, which kills its processes.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("calls".into()).spawn(serve)?;
        Ok(Self {
            runtime: handle,
            load: Arc::default(),
            thread: Some((stop, thread)),
        })
    }

    fn connections(&self) -> usize {
        Arc::strong_count(&self.load) - 1
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.thread.take() {
            drop(stop);
            // Only then is it sure that no process of a call is left.
            let _ = thread.join();
        }
    }
}

/// How many threads can run at once: the processors that this process may use, and its share of them in a container.
pub(crate) fn processors() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

/// A runtime of one thread, for whoever runs it.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        // For the files of large bodies.
        .max_blocking_threads(8)
        .thread_keep_alive(Duration::from_secs(1))
        .build()
}
