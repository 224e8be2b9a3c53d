//! What the metrics page tells of scaling: the names that dashboards and recording rules ask for, and our own.

use std::time::{SystemTime, UNIX_EPOCH};

use faas_provider::FunctionName;
use faas_scaling::decision::Reason;
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::meter::Now;
use super::scaled::Scaled;

/// Seconds of a cold start.
const COLD_STARTS: [f64; 12] = [
    0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0,
];

/// All series of scaling. The gauges are set anew for every page.
pub(super) struct Series {
    pub(super) registry: Registry,
    decisions: IntCounterVec,
    cold_starts: HistogramVec,
    min: IntGaugeVec,
    target: GaugeVec,
    ready: IntGaugeVec,
    calls: IntGaugeVec,
    waiting: IntGaugeVec,
    used: GaugeVec,
    desired: IntGaugeVec,
    load: GaugeVec,
    leader: IntGauge,
}

impl Series {
    pub(super) fn new() -> prometheus::Result<Self> {
        let function = ["function_name"];
        let typed = ["function_name", "scaling_type"];
        let whole = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &function);
        let series = Self {
            registry: Registry::new(),
            decisions: IntCounterVec::new(
                Opts::new(
                    "gateway_autoscaler_decisions_total",
                    "Changes of replicas that the scaler has made, by what led to them.",
                ),
                &["function_name", "direction", "reason"],
            )?,
            cold_starts: HistogramVec::new(
                HistogramOpts::new(
                    "gateway_cold_start_seconds",
                    "From the arrival of a call that found no replica to its way to one.",
                )
                .buckets(COLD_STARTS.to_vec()),
                &function,
            )?,
            min: whole("gateway_service_min", "Fewest replicas of a function.")?,
            target: GaugeVec::new(
                Opts::new(
                    "gateway_service_target_load",
                    "Load of one replica that is aimed at.",
                ),
                &typed,
            )?,
            ready: whole(
                "gateway_service_ready_count",
                "Replicas that can take calls.",
            )?,
            calls: whole(
                "gateway_function_invocation_inflight",
                "Calls that wait or are in flight.",
            )?,
            waiting: whole(
                "gateway_activation_queue_depth",
                "Calls that wait for a replica.",
            )?,
            used: GaugeVec::new(
                Opts::new(
                    "gateway_function_last_activity_timestamp_seconds",
                    "When a call of the function began or ended last.",
                ),
                &function,
            )?,
            desired: whole(
                "gateway_autoscaler_desired_replicas",
                "Replicas that the scaler decided for last.",
            )?,
            load: GaugeVec::new(
                Opts::new(
                    "gateway_autoscaler_load",
                    "Load that the scaler decided by last.",
                ),
                &typed,
            )?,
            leader: IntGauge::new(
                "gateway_autoscaler_leader",
                "Whether this gateway decides about replicas, for all gateways.",
            )?,
        };
        series.register()?;
        Ok(series)
    }

    fn register(&self) -> prometheus::Result<()> {
        for counted in self.whole_gauges() {
            self.registry.register(Box::new(counted.clone()))?;
        }
        for measured in self.gauges() {
            self.registry.register(Box::new(measured.clone()))?;
        }
        self.registry.register(Box::new(self.leader.clone()))?;
        self.registry.register(Box::new(self.decisions.clone()))?;
        self.registry.register(Box::new(self.cold_starts.clone()))
    }

    fn whole_gauges(&self) -> [&IntGaugeVec; 5] {
        [
            &self.min,
            &self.ready,
            &self.calls,
            &self.waiting,
            &self.desired,
        ]
    }

    fn gauges(&self) -> [&GaugeVec; 3] {
        [&self.target, &self.used, &self.load]
    }

    /// Empties the gauges, so that functions that are gone do not stay.
    pub(super) fn reset(&self) {
        self.whole_gauges().into_iter().for_each(IntGaugeVec::reset);
        self.gauges().into_iter().for_each(GaugeVec::reset);
    }

    /// Sets whether this gateway decides.
    pub(super) fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Sets the gauges of a function.
    pub(super) fn set(&self, name: &FunctionName, scaled: &Scaled, calls: Now) {
        let label = [name.as_str()];
        let kind = scaled.settings.kind.to_string();
        let typed = [name.as_str(), kind.as_str()];
        let set = |gauge: &IntGaugeVec, value: u64| {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            gauge.with_label_values(&label).set(value);
        };
        set(&self.min, scaled.settings.limits.min);
        set(&self.ready, scaled.ready);
        set(&self.calls, calls.calls);
        set(&self.waiting, calls.waiting);
        self.target
            .with_label_values(&typed)
            .set(scaled.settings.target);
        if let Some(latest) = &scaled.latest {
            set(&self.desired, latest.decision.replicas);
            self.load
                .with_label_values(&typed)
                .set(latest.measured.load);
        }
        if let Some(used) = calls.used {
            let at = SystemTime::now().checked_sub(used.elapsed());
            let at = at.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let seconds = at.unwrap_or_default().as_secs_f64();
            self.used.with_label_values(&label).set(seconds);
        }
    }

    /// Counts a change that the scaler has made.
    pub(super) fn scaled(&self, name: &FunctionName, from: u64, to: u64, reason: Reason) {
        let direction = if to > from { "up" } else { "down" };
        let labels = [name.as_str(), direction, reason.word()];
        self.decisions.with_label_values(&labels).inc();
    }

    /// Counts a call that waited for a replica and got one.
    pub(super) fn cold_start(&self, name: &FunctionName, seconds: f64) {
        self.cold_starts
            .with_label_values(&[name.as_str()])
            .observe(seconds);
    }

    /// Forgets what was counted of a function.
    pub(super) fn forget(&self, name: &FunctionName) {
        let label = name.as_str();
        let _ = self.cold_starts.remove_label_values(&[label]);
        for direction in ["up", "down"] {
            for reason in Reason::ALL {
                let labels = [label, direction, reason.word()];
                let _ = self.decisions.remove_label_values(&labels);
            }
        }
    }
}
