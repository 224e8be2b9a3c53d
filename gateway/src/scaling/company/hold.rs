//! Putting a function to sleep, with all gateways: each holds its calls back first, and has none.

use std::sync::Arc;
use std::time::Duration;

use faas_provider::FunctionName;
use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::Company;
use super::words::{Fall, Rise, millis};
use crate::scaling::meter::{Falling, Meter};

/// Longest time for which calls are held back for another gateway; longer than it waits for the provider.
const LONGEST: Duration = Duration::from_secs(45);

/// A function whose calls are held back here.
pub(super) struct ForAnother {
    /// For whom.
    pub(super) asker: String,
    function: String,
    since: Instant,
    _falling: Falling,
}

impl ForAnother {
    pub(super) fn is_recent(&self) -> bool {
        self.since.elapsed() < LONGEST
    }
}

/// The word of all other gateways that they hold back calls of a function, until this is dropped.
pub(crate) struct Agreement {
    company: Arc<Company>,
    function: FunctionName,
    /// Whether the provider has put it to sleep.
    pub(in crate::scaling) sleeps: bool,
}

impl Drop for Agreement {
    fn drop(&mut self) {
        let company = Arc::clone(&self.company);
        let word = Rise {
            function: self.function.as_str().to_owned(),
            sleeps: self.sleeps,
        };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { company.say("rise", &word).await });
        }
    }
}

impl Company {
    /// Has every gateway that is there hold back calls of a function that was idle for so long. None where one of them has
    /// calls, or had some, or does not answer, and where nobody can tell who is there.
    pub(crate) async fn all_fall(
        self: &Arc<Self>,
        name: &FunctionName,
        idle: Duration,
    ) -> Option<Agreement> {
        if !self.is_in_touch() {
            return None;
        }
        let there = self.there();
        // Whatever becomes of it, who has agreed is told that it is over.
        let agreement = Agreement {
            company: Arc::clone(self),
            function: name.clone(),
            sleeps: false,
        };
        let fall = Fall {
            from: self.id.clone(),
            function: name.as_str().to_owned(),
            idle_ms: millis(idle),
        };
        let asked = there.iter().map(|gateway| self.agrees(gateway, &fall));
        let all_agree = join_all(asked).await.into_iter().all(|agrees| agrees);
        // A call that came at one of them since then wins.
        (all_agree && self.calls(name) == 0).then_some(agreement)
    }

    async fn agrees(&self, gateway: &str, fall: &Fall) -> bool {
        let answer = self.ask("fall", gateway, fall).await;
        let answer = answer.and_then(|answer| serde_json::from_slice(&answer).ok());
        answer.unwrap_or(false)
    }

    /// Holds back calls of a function for another gateway, if there are none, and were none for so long. Whether it does.
    pub(super) fn hold_back(&self, fall: &Fall, meter: &Arc<Meter>) -> bool {
        let idle = Duration::from_millis(fall.idle_ms);
        let used = meter.now().used;
        if used.is_some_and(|used| used.elapsed() < idle) || meter.is_falling() {
            return false;
        }
        let Some(falling) = meter.fall() else {
            return false;
        };
        self.held().push(ForAnother {
            asker: fall.from.clone(),
            function: fall.function.clone(),
            since: Instant::now(),
            _falling: falling,
        });
        true
    }

    /// What was held back of a function for another gateway, to be let go.
    pub(super) fn let_go(&self, asker: &str, function: &str) -> Option<ForAnother> {
        let mut held = self.held();
        let is_it = |held: &ForAnother| held.asker == asker && held.function == function;
        let at = held.iter().position(is_it)?;
        Some(held.swap_remove(at))
    }
}
