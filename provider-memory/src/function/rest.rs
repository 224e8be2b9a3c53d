//! A replica that is kept while its function has none: its processes are stopped where they are, and continued for the next call.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::arrivals;
use super::duty::Turn;
use super::replica::{Event, ROUTING_GRACE, Replica, Started};
use crate::sandbox::Exit;

/// In which the watchdog says how many calls are in flight.
const IN_FLIGHT: &str = "x-in-flight";
/// How often it is asked.
const QUIET_INTERVAL: Duration = Duration::from_millis(50);

impl Replica {
    /// Keeps the replica until this turn is over; its exit, if it ends before. Its processes run again after that.
    pub(super) async fn rest(&self, started: &Started, turn: Turn) -> Option<Exit> {
        tokio::select! {
            exit = started.replica.wait() => return Some(exit),
            () = self.orders.after(turn) => {}
            () = self.pause(started) => {}
        }
        started.replica.resume();
        // Its secrets are those of its start, and a new replica would have the present ones.
        if self.secrets().ok().as_ref() != Some(&started.secrets) {
            self.orders.leave();
            // So that the other one is started now, not when this one has ended.
            self.tell(Event::NotReady);
        }
        None
    }

    /// Stops the processes as soon as no call is in flight. Continues them for calls that come all the same, from a gateway
    /// that has not heard yet. Ends, and dismisses the replica, when calls do not end or it has rested for long enough.
    async fn pause(&self, started: &Started) {
        let longest = self.tools.paused.longest();
        let until = longest.map(|longest| Instant::now() + longest);
        let rested = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(rested);
        loop {
            sleep(ROUTING_GRACE).await;
            let quiet = timeout(self.drain_limit(), self.is_quiet(started.address));
            if quiet.await.is_err() {
                break;
            }
            started.replica.pause();
            tokio::select! {
                () = arrivals::on(started.address) => started.replica.resume(),
                () = &mut rested => break,
            }
        }
        self.orders.dismiss();
    }

    /// Waits until the watchdog says that no call is in flight.
    async fn is_quiet(&self, address: SocketAddr) {
        let url = self.ready_url(address);
        loop {
            let asked = self.tools.probes.get(&url).timeout(QUIET_INTERVAL * 20);
            let answer = asked.send().await.ok();
            let calls = answer.and_then(|answer| answer.headers().get(IN_FLIGHT).cloned());
            if calls.is_some_and(|calls| calls == "0") {
                return;
            }
            sleep(QUIET_INTERVAL).await;
        }
    }
}
