//! One turn: so many calls at their times, all ended when it is over.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use super::connection::Connection;
use super::load::Load;
use super::schedule::Schedule;
use super::tally::{Ended, Fault, Tally};

/// What is counted, as it is counted: also what an interruption leaves.
pub(super) type Count = Arc<Mutex<Tally>>;

pub(super) fn counted(count: &Count) -> MutexGuard<'_, Tally> {
    count.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A schedule that ends with whoever waits for it.
struct Running(Arc<Schedule>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Makes the calls that `count` says are due, on these connections, and gives them back.
pub(super) async fn turn(
    connections: Vec<Connection>,
    load: &Load,
    count: &Count,
) -> Vec<Connection> {
    let callers = connections.len();
    let schedule = Arc::new(Schedule::new(load.rate, counted(count).due));
    let running = Running(schedule.clone());
    let mut tasks = JoinSet::new();
    for connection in connections {
        let (schedule, count) = (schedule.clone(), count.clone());
        tasks.spawn(call_on(connection, schedule, load.timeout, count));
    }
    let pace = count.clone();
    let pacer = spawn_blocking(move || {
        schedule.pace(callers, |late, crowded| {
            let mut tally = counted(&pace);
            tally.released(late);
            tally.crowded += u64::from(crowded);
        });
    });
    let connections = tasks.join_all().await;
    drop(running);
    // It has released all calls, or nobody would have come home.
    let _ = pacer.await;
    connections
}

/// Takes calls as they become due, one after the other.
async fn call_on(
    mut connection: Connection,
    schedule: Arc<Schedule>,
    limit: Duration,
    count: Count,
) -> Connection {
    while let Some(due) = schedule.next().await {
        let sent = Instant::now();
        let left = limit.saturating_sub(sent.saturating_duration_since(due));
        if left.is_zero() {
            let words = format!("no connection was free within {limit:?}");
            counted(&count).count(Ended::Lost(Fault::NotSent, words), due.elapsed(), None);
            continue;
        }
        let ended = timeout(left, connection.call()).await;
        let ended = ended.unwrap_or_else(|_| {
            let words = format!("no complete answer within {limit:?}");
            Ended::Lost(Fault::TimedOut, words)
        });
        let (since_due, since_sent) = (due.elapsed(), sent.elapsed());
        let mut tally = counted(&count);
        tally.count(ended, since_due, Some(since_sent));
        tally.sending = tally.sending.max(schedule.sending(sent));
    }
    connection
}
