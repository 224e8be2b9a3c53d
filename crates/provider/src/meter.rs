//! Measuring what functions use, when somebody asks for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::FunctionUsage;

/// For how long a measurement is told again, to whoever asks.
const FRESH: Duration = Duration::from_secs(2);

/// Keeps measurements for two seconds, and lets one at a time be made of each function: however many ask, it costs the same.
#[derive(Debug, Default)]
pub struct Meter {
    /// Those that are no longer told are dropped when somebody asks.
    known: Mutex<HashMap<String, Arc<Measured>>>,
}

/// The last measurement; locked while there is a new one.
type Measured = tokio::sync::Mutex<Option<(Instant, Option<FunctionUsage>)>>;

impl Meter {
    /// The last measurement of what has this key, or what `measure` finds where that is too old. `None` where it finds
    /// nothing that could be measured.
    pub async fn usage(
        &self,
        key: &str,
        measure: impl Future<Output = Option<FunctionUsage>>,
    ) -> Option<FunctionUsage> {
        let measured = self.measured(key);
        let mut measured = measured.lock().await;
        if let Some((at, usage)) = &*measured
            && at.elapsed() < FRESH
        {
            return usage.clone();
        }
        let usage = measure.await;
        *measured = Some((Instant::now(), usage.clone()));
        usage
    }

    fn measured(&self, key: &str) -> Arc<Measured> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, measured| is_told(measured));
        Arc::clone(known.entry(key.to_owned()).or_default())
    }
}

/// Whether a measurement is being made, or fresh.
fn is_told(measured: &Measured) -> bool {
    measured.try_lock().map_or(true, |measured| {
        measured
            .as_ref()
            .is_some_and(|(at, _)| at.elapsed() < FRESH)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_measurement_serves_all_who_ask_while_it_is_fresh() {
        let (meter, measured) = (Meter::default(), AtomicU32::new(0));
        let ask = |key: &'static str| {
            meter.usage(key, async {
                sleep(Duration::from_millis(300)).await;
                let cpu = f64::from(measured.fetch_add(1, Ordering::Relaxed));
                let total_memory_bytes = 1.0;
                Some(FunctionUsage {
                    cpu,
                    total_memory_bytes,
                })
            })
        };
        let all = join_all((0..20).map(|_| ask("echo"))).await;
        assert!(all.iter().all(|one| *one == all[0] && one.is_some()));
        assert_eq!(measured.load(Ordering::Relaxed), 1);
        let _ = ask("other").await;
        assert_eq!(measured.load(Ordering::Relaxed), 2);
        assert_eq!(ask("echo").await, all[0]);

        sleep(FRESH).await;
        assert_ne!(ask("echo").await, all[0]);
        assert_eq!(
            meter.known.lock().unwrap().len(),
            1,
            "the other is forgotten"
        );
    }
}
