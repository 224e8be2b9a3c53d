//! What is counted.

use faas_provider::FunctionName;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use crate::seen::Verdict;

/// The series of the idler.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    pub(crate) passes: IntCounter,
    scaled: IntCounterVec,
    skipped: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            registry: registry.clone(),
            passes: IntCounter::new("idler_passes_total", "Looks at all functions.")?,
            scaled: IntCounterVec::new(
                Opts::new("idler_scaled_total", "Functions that were scaled to zero."),
                &["function_name"],
            )?,
            skipped: IntCounterVec::new(
                Opts::new(
                    "idler_skipped_total",
                    "Functions that were left alone, by why.",
                ),
                &["reason"],
            )?,
        };
        metrics
            .registry
            .register(Box::new(metrics.passes.clone()))?;
        metrics
            .registry
            .register(Box::new(metrics.scaled.clone()))?;
        metrics
            .registry
            .register(Box::new(metrics.skipped.clone()))?;
        Ok(metrics)
    }

    pub(crate) fn scaled(&self, name: &FunctionName) {
        self.scaled.with_label_values(&[name.as_str()]).inc();
    }

    pub(crate) fn skipped(&self, verdict: Verdict) {
        self.skipped.with_label_values(&[verdict.word()]).inc();
    }
}
