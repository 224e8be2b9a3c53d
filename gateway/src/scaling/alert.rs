//! AlertManager's webhook: an alert steps a function up, its end brings the function back to its minimum.

use faas_provider::{
    Client, FACTOR_LABEL, FunctionName, FunctionStatus, MAX_LABEL, MIN_LABEL, client, scale_label,
};
use faas_scaling::alert::Limits;
use serde::Deserialize;

use super::{Autoscaler, Scaler};
use crate::error::in_words;
use crate::name;

/// The webhook's body; everything else in it is ignored.
#[derive(Debug, Deserialize)]
pub(crate) struct Alerts {
    #[serde(default)]
    alerts: Vec<Alert>,
}

#[derive(Debug, Deserialize)]
struct Alert {
    #[serde(default)]
    status: String,
    #[serde(default)]
    labels: Labels,
}

#[derive(Debug, Default, Deserialize)]
struct Labels {
    #[serde(default)]
    function_name: String,
}

/// Follows each alert in turn. Gives one line per alert that could not be followed, `[INDEX] WORDS`.
pub(crate) async fn follow(
    alerts: Alerts,
    scaler: &Scaler,
    provider: &Client,
    default_namespace: &str,
) -> Vec<String> {
    if scaler.policy.autoscaler == Autoscaler::Off {
        return Vec::new();
    }
    let mut failures = Vec::new();
    for (index, alert) in alerts.alerts.into_iter().enumerate() {
        // An alert of something else than a function reaches this webhook too.
        if alert.labels.function_name.is_empty() {
            continue;
        }
        let written = &alert.labels.function_name;
        let Some(name) = name::parse(written, default_namespace) else {
            let words = format!("`{written}` is no name of a function");
            failures.push(format!("[{index}] error scaling: {words}"));
            continue;
        };
        if let Err(error) = step(&name, alert.status == "firing", scaler, provider).await {
            tracing::warn!(function = %name, %error, "an alert could not be followed");
            failures.push(format!(
                "[{index}] error scaling {name}: {}",
                in_words(&error)
            ));
        }
    }
    failures
}

async fn step(
    name: &FunctionName,
    firing: bool,
    scaler: &Scaler,
    provider: &Client,
) -> Result<(), client::Error> {
    // The table may not show yet what was changed a moment ago.
    let status = provider.status(name).await?;
    let (current, limits) = (status.replicas, limits(&status));
    let replicas = scaler.alert(name, firing, current, limits);
    scaler.tell_of_alert(name, firing, current).await;
    let Some(replicas) = replicas else {
        return Ok(());
    };
    tracing::info!(function = %name, from = current, to = replicas, firing, "scaling by an alert");
    provider.scale(name, replicas).await?;
    scaler.alerted(name, replicas);
    Ok(())
}

/// The scaling labels; one that is no number counts as unset.
fn limits(status: &FunctionStatus) -> Limits {
    let labels = status.labels.clone().unwrap_or_default();
    let label = |name, default| scale_label(&labels, name).ok().flatten().unwrap_or(default);
    let Limits { min, max, factor } = Limits::default();
    Limits {
        min: label(MIN_LABEL, min),
        max: label(MAX_LABEL, max),
        factor: label(FACTOR_LABEL, factor).min(100),
    }
}
