//! The processor time that functions use, asked of the provider: for those that are scaled by it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use faas_provider::FunctionName;
use faas_scaling::settings::Kind;
use tokio::time::{MissedTickBehavior, interval};

use super::scaler::Scaler;

/// How often the provider is asked, one function after the other.
const INTERVAL: Duration = Duration::from_secs(5);
/// Answers that are averaged: those of half a minute.
const KEPT: usize = 6;

/// What the replicas of a function used lately, in thousandths of a processor.
#[derive(Debug, Default)]
pub(super) struct Cpu {
    used: VecDeque<f64>,
    /// Whether the provider does not tell.
    pub(super) is_unknown: bool,
}

impl Cpu {
    pub(super) fn average(&self) -> f64 {
        self.used.iter().sum::<f64>() / self.used.len().max(1) as f64
    }

    /// Takes an answer. Whether it is news that there is none.
    fn take(&mut self, used: Option<f64>) -> bool {
        let Some(used) = used else {
            return !std::mem::replace(&mut self.is_unknown, true);
        };
        self.is_unknown = false;
        if self.used.len() == KEPT {
            self.used.pop_front();
        }
        self.used.push_back(used);
        false
    }
}

impl Scaler {
    /// Asks again and again. Ends never.
    pub(super) async fn watch_cpu(self: Arc<Self>) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            for name in self.scaled_by_cpu() {
                // A provider that does not answer says nothing about the function.
                if let Ok(status) = self.client.status_with_usage(&name).await {
                    self.uses(&name, status.usage.map(|usage| usage.cpu));
                }
            }
        }
    }

    fn scaled_by_cpu(&self) -> Vec<FunctionName> {
        let functions = self.functions();
        let by_cpu = functions
            .iter()
            .filter(|(_, scaled)| scaled.replicas > 0 && scaled.settings.kind == Kind::Cpu);
        by_cpu.map(|(name, _)| name.clone()).collect()
    }

    fn uses(&self, name: &FunctionName, cpu: Option<f64>) {
        let mut functions = self.functions();
        let Some(scaled) = functions.get_mut(name) else {
            return;
        };
        if scaled.cpu.take(cpu) {
            tracing::warn!(function = %name, "the provider does not tell what it uses: it is scaled by its calls a second");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_minute_is_averaged() {
        let mut cpu = Cpu::default();
        assert_eq!(cpu.average(), 0.0);
        for used in [6000.0, 100.0, 200.0, 300.0, 100.0, 200.0, 300.0] {
            assert!(!cpu.take(Some(used)));
        }
        assert_eq!(cpu.average(), 200.0);
        assert!(cpu.take(None) && !cpu.take(None));
        assert!(cpu.is_unknown);
        assert!(!cpu.take(Some(1.0)) && !cpu.is_unknown);
    }
}
