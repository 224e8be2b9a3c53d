//! Calls of the probe, and what lies below calls.

use std::time::Instant;

use hyper::Method;
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use crate::failure::{Failure, Outcome};
use crate::http::{Answer, Request};
use crate::target::Target;
use crate::wire::{Stream, Wire};

/// The probe that all checks share.
const SHARED: &str = "probe";

/// One replica, whatever the load: each counts the calls that it sees itself.
fn alone() -> Value {
    json!({"com.openfaas.scale.min": "1", "com.openfaas.scale.max": "1"})
}

#[allow(
    dead_code,
    reason = "a vocabulary: not every word of it is in use at every time"
)]
impl Target {
    /// Deploys a probe for this check alone, and waits until it answers.
    pub(crate) async fn have_probe(&self, short: &str) -> Outcome<Answer> {
        self.have_probe_with(short, json!({})).await
    }

    async fn have_probe_with(&self, short: &str, more: Value) -> Outcome<Answer> {
        let Some(probe) = &self.options().probe else {
            return Err(Failure::new("a probe", "none was given"));
        };
        self.have_function_with(short, probe, more).await?;
        let call = self.wish(Method::GET, short, "", &[]);
        self.call_until(&call, 200).await
    }

    /// Calls the shared probe once. `rest` is a path or a query, `wish` what it shall do; see FUNCTIONS.md.
    pub(crate) async fn probe(
        &self,
        method: Method,
        rest: &str,
        wish: &[(&str, &str)],
    ) -> Outcome<Answer> {
        let request = self.shared_probe(method, rest, wish).await?;
        self.send(request).await
    }

    /// A call of the shared probe, to be changed before it is sent.
    pub(crate) async fn shared_probe(
        &self,
        method: Method,
        rest: &str,
        wish: &[(&str, &str)],
    ) -> Outcome<Request> {
        let cell = self.shared(SHARED).await;
        let ready = cell.get_or_init(async || {
            let keeper = self.keeping();
            keeper
                .have_probe_with(SHARED, json!({"labels": alone()}))
                .await
        });
        ready.await.clone()?;
        Ok(self.wish(method, SHARED, rest, wish))
    }

    /// A call of a probe of one's own.
    pub(crate) fn wish(
        &self,
        method: Method,
        short: &str,
        rest: &str,
        wish: &[(&str, &str)],
    ) -> Request {
        let call = self.call(method, short, rest);
        match wish.is_empty() {
            true => call,
            false => {
                let wish = Serializer::new(String::new()).extend_pairs(wish).finish();
                call.header("X-Probe", &wish)
            }
        }
    }

    /// Sends one request and leaves the body of the answer to be read piece by piece.
    pub(crate) async fn open(&self, request: &Request) -> Outcome<Stream> {
        let started = Instant::now();
        let outcome = self.client().open(request).await;
        let (sent, received) = match &outcome {
            Ok(stream) => (request.describe(""), format!("status {}", stream.status)),
            Err(failure) => (failure.sent.clone(), failure.got.clone()),
        };
        self.note(sent, received, started.elapsed());
        outcome
    }

    /// A connection of its own, on which every byte is the check's.
    pub(crate) async fn wire(&self) -> Outcome<Wire> {
        self.client().wire().await
    }
}
