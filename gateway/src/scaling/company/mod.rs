//! Several gateways before one provider: what they tell each other over NATS, and which of them decides about replicas.

mod bucket;
mod hear;
mod hold;
mod lead;
mod raise;
mod words;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, Subject};
use bytes::Bytes;
use faas_provider::FunctionName;
use faas_scaling::lease::{Lease, Role};
use faas_scaling::load::Second;
use faas_scaling::peers::{Peers, Report, SILENCE};
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use bucket::Bucket;
pub(crate) use hold::Agreement;
use hold::ForAnother;
use words::{Alert, Named, Stats, subject};

/// How long the client has to take a word, and another gateway to answer one.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long one has to listen to have heard everybody: they speak once a second.
const LISTENING: Duration = Duration::from_secs(2);
/// Most functions in one message.
const MOST_FUNCTIONS: usize = 1000;

/// The gateways that scale together, as one of them knows them.
pub(crate) struct Company {
    /// This gateway's name among them.
    id: String,
    began: Instant,
    client: Client,
    bucket: Bucket,
    lease: Mutex<Lease>,
    peers: Mutex<Peers>,
    /// Functions whose calls are held back here while another gateway puts them to sleep.
    held: Mutex<Vec<ForAnother>>,
    echo: Mutex<Option<Echo>>,
}

/// This gateway's own words, as it hears them: as long as it does it hears the others too.
#[derive(Clone, Copy)]
struct Echo {
    /// Without a longer silence.
    since: Instant,
    last: Instant,
}

impl Company {
    /// Of those at the same NATS, which keeps what is written on so many servers.
    pub(crate) fn at(client: Client, replicas: usize) -> Arc<Self> {
        let id = words::id();
        tracing::info!(gateway = id, "scales together with other gateways");
        Arc::new(Self {
            lease: Mutex::new(Lease::of(&id)),
            id,
            began: Instant::now(),
            bucket: Bucket::at(client.clone(), replicas),
            client,
            peers: Mutex::default(),
            held: Mutex::default(),
            echo: Mutex::default(),
        })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// When moments begin to be counted.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// What this gateway has to do about decisions. One that does not hear the others decides for its own calls alone, though
    /// the lease may hold for some seconds more; one that has just begun to listen waits.
    pub(super) fn role(&self) -> Role {
        match self.lease().role(self.now()) {
            role if self.is_in_touch() => role,
            Role::Leads | Role::Follows if self.now() < LISTENING + SILENCE => Role::Follows,
            _ => Role::CutOff,
        }
    }

    /// Who decides, as far as is known.
    pub(super) fn leader(&self) -> Option<String> {
        self.lease().leader(self.now()).map(str::to_owned)
    }

    /// What the last second brought to a function at the others.
    pub(super) fn second(&self, name: &FunctionName) -> Second {
        self.peers().second(self.now(), name.as_str())
    }

    /// Calls of a function that wait or are in flight at the others.
    pub(super) fn calls(&self, name: &FunctionName) -> u64 {
        self.peers().calls(self.now(), name.as_str())
    }

    /// When a function was used last at the others.
    pub(super) fn used(&self, name: &FunctionName) -> Option<Duration> {
        self.peers().used(name.as_str())
    }

    /// Once a second: takes notice of who has fallen silent.
    pub(super) fn look_around(&self, exists: impl Fn(&str) -> bool) {
        let now = self.now();
        let mut peers = self.peers();
        if !self.is_in_touch() {
            peers.lose_touch(now);
        }
        peers.keep(exists);
        drop(peers);
        let there = self.there();
        self.held()
            .retain(|held| held.is_recent() && there.contains(&held.asker));
    }

    /// Tells the others of functions.
    pub(super) async fn tell(&self, reports: &[(FunctionName, Report)]) {
        let mut rest = reports;
        loop {
            let (some, further) = rest.split_at(rest.len().min(MOST_FUNCTIONS));
            self.say("stats", &Stats::of(some)).await;
            if further.is_empty() {
                return;
            }
            rest = further;
        }
    }

    /// Tells the others at once of calls of a function.
    pub(super) async fn tell_of_calls(&self, name: &FunctionName, calls: u64) {
        let report = Report {
            second: None,
            calls,
            idle: Some(Duration::ZERO),
        };
        self.tell(&[(name.clone(), report)]).await;
    }

    /// Tells the others of an alert of a function that has `current` replicas.
    pub(super) async fn tell_of_alert(&self, name: &FunctionName, firing: bool, current: u64) {
        let alert = Alert {
            function: name.as_str().to_owned(),
            firing,
            current,
        };
        self.say("alert", &alert).await;
    }

    /// What the gateway that decides says of a function; none where nobody does, or it does not know it.
    pub(super) async fn ask_why(&self, leader: &str, name: &FunctionName) -> Option<Value> {
        let asked = Named::of(name);
        let answer = self.ask("why", leader, &asked).await?;
        serde_json::from_slice(&answer)
            .ok()
            .filter(Value::is_object)
    }

    /// Says goodbye, and gives the lease back.
    pub(super) async fn leave(&self) {
        self.resign().await;
        self.say("bye", &()).await;
        let _ = timeout(PATIENCE, self.client.flush()).await;
    }

    /// Says something to all. What cannot be said now is not said later: it would not be true any more.
    async fn say(&self, kind: &str, what: &impl Serialize) {
        let Some(body) = self.body(what) else {
            return;
        };
        let said = self.client.publish(subject(kind, &self.id), body);
        let _ = timeout(PATIENCE, said).await;
    }

    /// Asks one of them.
    async fn ask(&self, kind: &str, gateway: &str, what: &impl Serialize) -> Option<Bytes> {
        let asked = self
            .client
            .request(subject(kind, gateway), self.body(what)?);
        let answer = timeout(PATIENCE, asked).await.ok()?.ok()?;
        Some(answer.payload)
    }

    async fn answer(&self, to: Subject, what: &impl Serialize) {
        if let Some(body) = self.body(what) {
            let _ = timeout(PATIENCE, self.client.publish(to, body)).await;
        }
    }

    /// None where there is no connection: the client would keep it, and send it some time.
    fn body(&self, what: &impl Serialize) -> Option<Bytes> {
        match self.is_connected() {
            true => serde_json::to_vec(what).ok().map(Bytes::from),
            false => None,
        }
    }

    /// The others that are heard.
    fn there(&self) -> Vec<String> {
        let peers = self.peers();
        peers.there(self.now()).map(str::to_owned).collect()
    }

    /// Whether everybody is heard who is there. A connection that is dead may look well for long.
    fn is_in_touch(&self) -> bool {
        let hears = |echo: Echo| echo.last.elapsed() < SILENCE && echo.since.elapsed() >= LISTENING;
        self.is_connected() && self.echo().is_some_and(hears)
    }

    fn hear_itself(&self) {
        let last = Instant::now();
        let mut echo = self.echo();
        let before = echo.filter(|before| last - before.last < SILENCE);
        let since = before.map_or(last, |before| before.since);
        *echo = Some(Echo { since, last });
    }

    fn echo(&self) -> MutexGuard<'_, Option<Echo>> {
        self.echo.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn lease(&self) -> MutexGuard<'_, Lease> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn peers(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> MutexGuard<'_, Vec<ForAnother>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
