//! How often the engine is asked, and how that goes.

use prometheus::{IntCounterVec, Opts, Registry};

use super::Error;

/// Calls of the engine by what they are about and how they ended.
#[derive(Clone, Debug)]
pub(crate) struct EngineMetrics {
    calls: IntCounterVec,
}

impl EngineMetrics {
    /// Registers `provider_swarm_engine_calls_total`.
    ///
    /// # Errors
    /// When the registry has it already.
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let options = Opts::new(
            "provider_swarm_engine_calls_total",
            "Calls of the Docker engine, by the kind of object and by the outcome.",
        );
        let calls = IntCounterVec::new(options, &["about", "outcome"])?;
        registry.register(Box::new(calls.clone()))?;
        Ok(Self { calls })
    }

    pub(super) fn count(&self, path: &str, error: Option<&Error>) {
        // `/services/x/update` is about services: ids are no labels.
        let about = path.split('/').nth(1).unwrap_or_default();
        let outcome = match error {
            None => "ok",
            Some(Error::Unreachable { .. }) => "unreachable",
            Some(Error::Broken(_)) => "broken",
            Some(Error::TimedOut(_)) => "timeout",
            Some(Error::Version(_)) => "version",
            Some(Error::Garbled(_)) => "garbled",
            Some(Error::Answered { status, .. }) if *status < 500 => "refused",
            Some(Error::Answered { .. }) => "failed",
        };
        self.calls.with_label_values(&[about, outcome]).inc();
    }
}
