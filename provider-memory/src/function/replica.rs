//! The life of one replica: started, ready, drained, gone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use faas_http::duration;
use faas_http::forward::Upstream;
use faas_provider::Endpoint;
use reqwest::StatusCode;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::LogBook;
use super::duty::{Duty, Orders};
use super::launch::{self, Launch};
use super::runner::Tools;
use super::running::{Entered, Running};
use super::scratch;
use crate::sandbox::{self, Exit, ReplicaSpec};

/// How often a replica that is not ready yet is asked again: at first, and at most.
const FIRST_PROBE: Duration = Duration::from_millis(2);
const SLOWEST_PROBE: Duration = Duration::from_millis(500);
/// How often a ready replica is asked whether it still is.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// How long an answer may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// What the watchdog gives calls in flight where the function says nothing.
const DEFAULT_DRAIN: Duration = Duration::from_secs(30);
/// How long a replica is left alone once calls are no longer routed to it: those that were on their way to it arrive
/// before it closes its connections, on which they would be lost. A gateway elsewhere hears of it in this time.
pub(super) const ROUTING_GRACE: Duration = Duration::from_millis(250);
/// What the watchdog may take beyond its drain before it is killed.
const DRAIN_MARGIN: Duration = Duration::from_secs(3);

/// Where a watchdog keeps its lock file and large bodies.
const TMPDIR: &str = "TMPDIR";

/// Names and values.
pub(super) type Secrets = Vec<(String, Vec<u8>)>;

/// What happened to a replica.
#[derive(Debug)]
pub(super) enum Event {
    /// It answers.
    Ready(Endpoint),
    /// It answered before, and does not now.
    NotReady,
    /// It is gone; why, unless it was asked to go.
    Ended(String),
}

/// A replica whose watchdog runs.
pub(super) struct Started {
    pub(super) replica: sandbox::Replica,
    pub(super) address: SocketAddr,
    /// As they were when it started.
    pub(super) secrets: Secrets,
    _entered: Entered,
    _scratch: scratch::Directory,
}

/// Runs one replica from start to end. Ends early, with a drain, when it is told to leave.
pub(super) struct Replica {
    pub(super) number: u64,
    pub(super) id: String,
    pub(super) launch: Arc<Launch>,
    pub(super) namespace: String,
    pub(super) tools: Arc<Tools>,
    pub(super) log: Arc<LogBook>,
    pub(super) running: Running,
    pub(super) orders: Orders,
    pub(super) events: mpsc::UnboundedSender<(u64, Event)>,
}

impl Replica {
    pub(super) async fn run(self) {
        let ended = match self.start().await {
            Ok(started) => self.attend(started).await,
            Err(reason) => reason,
        };
        self.tell(Event::Ended(ended));
    }

    pub(super) fn tell(&self, event: Event) {
        // Nobody listens any more once the function is gone.
        let _ = self.events.send((self.number, event));
    }

    async fn start(&self) -> Result<Started, String> {
        let listener = launch::listener(self.tools.address)
            .map_err(|error| format!("no port can be had: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        // Two functions of one name, in two namespaces or one draining after the other was deployed, number their replicas
        // alike; cgroups and directories must not collide.
        let id = format!("{}-{:x}", self.id, fastrand::u64(..));
        let secrets = self.secrets()?;
        let mut spec = self
            .launch
            .spec(id, secrets.clone())
            .map_err(|error| error.to_string())?;
        let scratch = self.scratch(&mut spec)?;
        let replica = self
            .tools
            .sandbox
            .start(spec, listener)
            .await
            .map_err(|error| error.to_string())?;
        Ok(Started {
            _entered: self.running.enter(replica.pid()),
            replica,
            address,
            secrets,
            _scratch: scratch,
        })
    }

    /// The secrets as they are now.
    pub(super) fn secrets(&self) -> Result<Secrets, String> {
        let value = |name: &String| {
            let ledger = &self.tools.ledger;
            let value = ledger.read(|records| records.secret(&self.namespace, name).cloned());
            let value = value.ok_or_else(|| format!("secret {name} is gone"))?;
            Ok((name.clone(), value.0))
        };
        self.launch.secrets().iter().map(value).collect()
    }

    /// A temporary directory of its own: its `/tmp`, where the sandbox gives it a root of its own; else its `TMPDIR`,
    /// unless the function has chosen one.
    fn scratch(&self, spec: &mut ReplicaSpec) -> Result<scratch::Directory, String> {
        let machine = self.tools.sandbox.capabilities();
        let uid = spec.uid.filter(|_| machine.own_uid.is_yes());
        let directory = self.tools.scratch.directory(&spec.id, uid);
        let directory =
            directory.map_err(|error| format!("no temporary directory can be made: {error}"))?;
        if machine.mount_namespace.is_yes() {
            spec.tmp = Some(directory.path().to_owned());
        } else if self.launch.variable(TMPDIR).is_none() {
            let path = directory.path().to_string_lossy().into_owned();
            spec.env.push((TMPDIR.to_owned(), path));
        }
        Ok(directory)
    }

    /// Stays with a started replica until it has ended; gives the reason.
    async fn attend(&self, mut started: Started) -> String {
        let replica = &mut started.replica;
        let (stdout, stderr) = (replica.take_stdout(), replica.take_stderr());
        let log = Arc::clone(&self.log);
        let id = self.id.clone();
        let reading = tokio::spawn(async move {
            let copy = async |from: Option<_>| {
                if let Some(from) = from {
                    log.copy(&id, from).await;
                }
            };
            let errors = async |from: Option<_>| {
                if let Some(from) = from {
                    log.copy(&id, from).await;
                }
            };
            tokio::join!(copy(stdout), errors(stderr));
        });
        let reason = tokio::select! {
            reason = self.follow_orders(&started) => reason,
            never = self.watch_memory(&started.replica) => match never {},
        };
        // The last words, unless somebody outside of the sandbox holds the pipe.
        let _ = timeout(Duration::from_secs(1), reading).await;
        reason
    }

    /// Serves and rests as it is told, until it has ended; gives the reason.
    async fn follow_orders(&self, started: &Started) -> String {
        let replica = &started.replica;
        loop {
            let turn = self.orders.turn();
            let exit = match turn.duty {
                Duty::Serve => tokio::select! {
                    exit = replica.wait() => Some(exit),
                    () = self.orders.after(turn) => None,
                    never = self.probe(started.address) => match never {},
                },
                Duty::Rest => self.rest(started, turn).await,
                Duty::Leave => {
                    self.drain(replica).await;
                    return String::new();
                }
            };
            if let Some(exit) = exit {
                return self.reason(exit);
            }
        }
    }

    fn reason(&self, exit: Exit) -> String {
        let memory = if exit.oom_killed {
            ", killed for its memory limit"
        } else {
            ""
        };
        format!("the watchdog ended ({}{memory})", exit.status)
    }

    /// A moment for calls under way, SIGTERM, the time that the watchdog gives its calls, then the end.
    async fn drain(&self, replica: &sandbox::Replica) {
        let _ = timeout(ROUTING_GRACE, replica.wait()).await;
        replica.terminate();
        let limit = self.drain_limit();
        if timeout(limit, replica.wait()).await.is_err() {
            self.log.write(
                &self.id,
                format!(
                    "killed: still running {} after SIGTERM",
                    duration::format(limit)
                ),
            );
            replica.kill();
            replica.wait().await;
        }
    }

    /// How long calls in flight have to end.
    pub(super) fn drain_limit(&self) -> Duration {
        let own = self
            .launch
            .variable("write_timeout")
            .and_then(|text| duration::parse(text).ok());
        own.unwrap_or(DEFAULT_DRAIN) + DRAIN_MARGIN
    }

    pub(super) fn ready_url(&self, address: SocketAddr) -> String {
        format!("http://{address}{}", self.tools.ready_path)
    }

    /// Asks the replica whether it is ready, as long as it lives, and tells every change.
    async fn probe(&self, address: SocketAddr) -> std::convert::Infallible {
        let endpoint = address
            .to_string()
            .parse()
            .map(|authority| Upstream::new(self.id.clone(), authority));
        let url = self.ready_url(address);
        let mut pause = FIRST_PROBE;
        let mut ready = false;
        loop {
            let answers = self.answers(&url).await;
            match (ready, answers, &endpoint) {
                (false, true, Ok(endpoint)) => self.tell(Event::Ready(Arc::clone(endpoint))),
                (true, false, _) => self.tell(Event::NotReady),
                _ => {}
            }
            ready = answers;
            pause = if ready {
                PROBE_INTERVAL
            } else {
                (pause * 2).min(SLOWEST_PROBE)
            };
            sleep(pause).await;
            if ready {
                pause = FIRST_PROBE;
            }
        }
    }

    async fn answers(&self, url: &str) -> bool {
        let asked = self
            .tools
            .probes
            .get(url)
            .timeout(PROBE_TIMEOUT)
            .send()
            .await;
        // A replica at its limit of calls is busy, not broken.
        asked.is_ok_and(|answer| {
            answer.status().is_success() || answer.status() == StatusCode::TOO_MANY_REQUESTS
        })
    }

    /// Says in the log, as it happens, that the memory limit was hit.
    async fn watch_memory(&self, replica: &sandbox::Replica) -> std::convert::Infallible {
        let mut kills = replica.oom_kills();
        while kills.changed().await.is_ok() {
            let limit = self.launch.memory_limit().unwrap_or_default();
            self.log.write(
                &self.id,
                format!("memory limit of {limit} bytes reached: a process was killed"),
            );
        }
        std::future::pending().await
    }
}

/// When a crashed replica may start again: at once, then ever later, up to half a minute.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    failures: u32,
    until: Option<Instant>,
}

impl BackOff {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(30);
    /// A replica that was ready for this long did not fail to start.
    const STEADY: Duration = Duration::from_secs(10);

    /// Notes an end that nobody asked for, of a replica that had been ready for so long.
    pub(super) fn failed(&mut self, ready_for: Option<Duration>) {
        if ready_for.is_some_and(|time| time >= Self::STEADY) {
            *self = Self::default();
        }
        let pause = Self::FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(Self::LONGEST);
        self.failures += 1;
        self.until = Some(Instant::now() + pause);
    }

    /// When the next replica may start; `None` for at once.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until.filter(|until| *until > Instant::now())
    }

    /// Forgets, because something else is to be run now.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_pause_grows_with_each_failure_and_is_forgotten_after_a_steady_run() {
        let mut back_off = BackOff::default();
        let mut pause = |ready_for| {
            back_off.failed(ready_for);
            back_off.until().unwrap() - Instant::now()
        };
        assert_eq!(pause(None), Duration::from_millis(100));
        assert_eq!(
            pause(Some(Duration::from_secs(1))),
            Duration::from_millis(200)
        );
        for _ in 0..20 {
            pause(None);
        }
        assert_eq!(pause(None), BackOff::LONGEST);
        assert_eq!(
            pause(Some(Duration::from_secs(11))),
            Duration::from_millis(100)
        );
    }
}
