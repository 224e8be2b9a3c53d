//! What the engine says of one container at one moment.

use std::collections::HashMap;

use serde::Deserialize;

use crate::engine::rfc3339;

/// Thousandths of a processor.
const MILLIS: f64 = 1000.0;

/// A reading; a container that has ended has one without a time and without figures.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Reading {
    read: String,
    cpu_stats: Cpu,
    memory_stats: Memory,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cpu {
    cpu_usage: CpuUsage,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CpuUsage {
    /// Nanoseconds since the container began.
    total_usage: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Memory {
    usage: u64,
    stats: HashMap<String, u64>,
}

impl Reading {
    /// Thousandths of a processor between an earlier reading and this one.
    pub(super) fn cpu_millis_since(&self, before: &Self) -> f64 {
        let elapsed = (rfc3339(&self.read) - rfc3339(&before.read)).as_seconds_f64();
        let used = nanoseconds(self.cpu_stats.cpu_usage.total_usage)
            - nanoseconds(before.cpu_stats.cpu_usage.total_usage);
        match elapsed > 0.0 {
            true => (used.max(0.0) / elapsed * MILLIS).round(),
            false => 0.0,
        }
    }

    /// Bytes of memory without those that the kernel takes back whenever it likes: what `docker stats` shows.
    pub(super) fn memory_bytes(&self) -> f64 {
        let stats = &self.memory_stats.stats;
        // cgroup v1 and v2.
        let names = ["total_inactive_file", "inactive_file"];
        let spare = names.iter().find_map(|name| stats.get(*name)).copied();
        bytes(self.memory_stats.usage.saturating_sub(spare.unwrap_or(0)))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share, not a sum of money")]
fn nanoseconds(count: u64) -> f64 {
    count as f64 / 1e9
}

#[expect(
    clippy::cast_precision_loss,
    reason = "exact below eight million gigabytes"
)]
fn bytes(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reading(time: &str, used: u64) -> Reading {
        serde_json::from_value(json!({
            "read": time,
            "cpu_stats": {"cpu_usage": {"total_usage": used}},
        }))
        .unwrap()
    }

    #[test]
    fn a_share_of_the_processors_is_what_was_used_in_between() {
        let before = reading("2026-11-28T06:00:00Z", 1_000_000_000);
        let half_a_second_of_two = reading("2026-11-28T06:00:00.5Z", 2_000_000_000);
        assert_eq!(half_a_second_of_two.cpu_millis_since(&before), 2000.0);
        // It has ended, or was started anew.
        let ended = reading("0001-01-01T00:00:00Z", 0);
        assert_eq!(ended.cpu_millis_since(&before), 0.0);
        let anew = reading("2026-11-28T06:00:01Z", 0);
        assert_eq!(anew.cpu_millis_since(&before), 0.0);
    }

    #[test]
    fn memory_is_told_without_what_is_only_cached() {
        let cases = [
            (
                json!({"usage": 100, "stats": {"total_inactive_file": 40, "inactive_file": 1}}),
                60.0,
            ),
            (json!({"usage": 100, "stats": {"inactive_file": 30}}), 70.0),
            (json!({"usage": 1, "stats": {"inactive_file": 30}}), 0.0),
            (json!({}), 0.0),
        ];
        for (stats, expected) in cases {
            let reading: Reading = serde_json::from_value(json!({"memory_stats": stats})).unwrap();
            assert_eq!(reading.memory_bytes(), expected, "{stats}");
        }
    }
}
