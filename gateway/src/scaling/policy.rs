//! How this gateway scales: its settings, read once.

use std::time::Duration;

use faas_http::duration;
use faas_http::env::Setting;
use faas_scaling::legacy::Rule;
use faas_scaling::settings::{Defaults, Kind, LONGEST_DOWN_WINDOW, LabelError, Settings};

use crate::Config;

/// Who decides about replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Autoscaler {
    /// This gateway, by the load that it measures.
    Native,
    /// AlertManager and the idler.
    Legacy,
    /// Nobody.
    Off,
}

impl Autoscaler {
    /// As it is written in the setting.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Legacy => "legacy",
            Self::Off => "off",
        }
    }
}

impl Setting for Autoscaler {
    const KIND: &'static str = "native, legacy or off";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "native" => Ok(Self::Native),
            "legacy" => Ok(Self::Legacy),
            "off" => Ok(Self::Off),
            _ => Err(format!("`{text}` is neither native, legacy nor off")),
        }
    }
}

/// The settings of scaling, found to make sense.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(super) autoscaler: Autoscaler,
    pub(super) tick: Duration,
    /// In seconds, of which the load is averaged.
    pub(super) fast_window: usize,
    pub(super) burst_ratio: f64,
    pub(super) rule: Rule,
    pub(super) keeps_minimum: bool,
    defaults: Defaults,
}

impl Policy {
    /// # Errors
    /// The setting that makes no sense, and what it should be.
    pub(crate) fn of(config: &Config) -> Result<Self, String> {
        let wrong = |name: &str, wanted: &str| Err(format!("{name}: {wanted}"));
        let kind = Kind::named(&config.default_scale_type);
        if matches!(kind, Kind::Custom(_)) {
            return wrong("default_scale_type", "legacy, rps, capacity, cpu or queue");
        }
        if config.default_target <= 0.0 {
            return wrong("default_target", "a number above 0");
        }
        let proportion = config.default_target_proportion;
        if proportion <= 0.0 || proportion > 1.0 {
            return wrong(
                "default_target_proportion",
                "a number above 0 and at most 1",
            );
        }
        if config.default_scale_max == 0 {
            return wrong("default_scale_max", "a number from 1 on");
        }
        if config.autoscaler_down_window > LONGEST_DOWN_WINDOW {
            return wrong("autoscaler_down_window", "at most 5m");
        }
        let tick = config.autoscaler_tick;
        if tick < Duration::from_millis(100) || tick > Duration::from_secs(60) {
            return wrong("autoscaler_tick", "from 100ms to 1m");
        }
        let fast_window = config.autoscaler_fast_window.as_secs();
        let Some(fast_window) = usize::try_from(fast_window)
            .ok()
            .filter(|s| (1..=300).contains(s))
        else {
            return wrong("autoscaler_fast_window", "from 1s to 5m");
        };
        Ok(Self {
            autoscaler: config.autoscaler,
            tick,
            fast_window,
            burst_ratio: config.autoscaler_burst_ratio,
            rule: Rule {
                interval: config.legacy_step_interval,
                per_replica: config.legacy_per_replica,
            },
            keeps_minimum: config.maintain_min_replicas,
            defaults: Defaults {
                kind,
                max: config.default_scale_max,
                target: config.default_target,
                proportion,
                down_window: config.autoscaler_down_window,
                zero_after: config.default_zero_duration,
            },
        })
    }

    /// How a function with these labels is scaled, and which of them cannot be followed.
    pub(super) fn settings<'a>(
        &self,
        label: impl Fn(&str) -> Option<&'a str>,
    ) -> (Settings, Vec<LabelError>) {
        let duration = |text: &str| duration::parse(text).ok();
        self.defaults.with_labels(label, duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::in_front_of("http://127.0.0.1:1").unwrap();
        change(&mut config);
        Policy::of(&config).unwrap_err()
    }

    #[test]
    fn settings_that_make_no_sense_are_named_with_what_would() {
        assert!(Policy::of(&Config::in_front_of("http://127.0.0.1:1").unwrap()).is_ok());
        let words = refused(|config| config.default_scale_type = "moon".into());
        assert_eq!(
            words,
            "default_scale_type: legacy, rps, capacity, cpu or queue"
        );
        let words = refused(|config| config.default_target = -1.0);
        assert_eq!(words, "default_target: a number above 0");
        let words = refused(|config| config.default_target_proportion = 1.5);
        assert_eq!(
            words,
            "default_target_proportion: a number above 0 and at most 1"
        );
        let words = refused(|config| config.default_scale_max = 0);
        assert_eq!(words, "default_scale_max: a number from 1 on");
        let words = refused(|config| config.autoscaler_down_window = Duration::from_secs(301));
        assert_eq!(words, "autoscaler_down_window: at most 5m");
        let words = refused(|config| config.autoscaler_tick = Duration::ZERO);
        assert_eq!(words, "autoscaler_tick: from 100ms to 1m");
        let words = refused(|config| config.autoscaler_fast_window = Duration::ZERO);
        assert_eq!(words, "autoscaler_fast_window: from 1s to 5m");
    }
}
