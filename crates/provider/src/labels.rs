//! The labels and annotations that mean something to the platform: names, values, and what is wrong with them.

use std::time::Duration;

use faas_http::duration;

use crate::{FunctionDeployment, ProviderError, Texts};

/// Label with the fewest replicas that scaling leaves.
pub const MIN_LABEL: &str = "com.openfaas.scale.min";
/// Label with the most replicas that scaling makes.
pub const MAX_LABEL: &str = "com.openfaas.scale.max";
/// Label with the step of an alert, in percent of the maximum.
pub const FACTOR_LABEL: &str = "com.openfaas.scale.factor";
/// Label that lets a function be scaled to zero when idle.
pub const ZERO_LABEL: &str = "com.openfaas.scale.zero";
/// Annotation with the function's own timeout, which replaces the gateway's.
pub const TIMEOUT_ANNOTATION: &str = "com.openfaas.timeout";
/// Under this prefix a provider may keep annotations among labels.
pub const ANNOTATION_PREFIX: &str = "com.openfaas.annotations.";

/// Checks the labels and annotations of a deployment.
pub(crate) fn check(
    deployment: &FunctionDeployment,
    max_replicas: u64,
) -> Result<(), ProviderError> {
    labels(deployment, max_replicas)?;
    let Some(text) = deployment.annotations.get(TIMEOUT_ANNOTATION) else {
        return Ok(());
    };
    let field = format!("annotations.{TIMEOUT_ANNOTATION}");
    let wrong = |error: duration::ParseError| ProviderError::invalid(field, error.to_string());
    duration::parse(text).map(drop).map_err(wrong)
}

fn labels(deployment: &FunctionDeployment, max_replicas: u64) -> Result<(), ProviderError> {
    let labels = &deployment.labels;
    for (key, own) in [
        ("faas_function", deployment.service.as_str()),
        ("com.openfaas.function", &deployment.service),
    ] {
        if labels.get(key).is_some_and(|value| value != own) {
            return Err(ProviderError::invalid(
                format!("labels.{key}"),
                "set by the provider; leave it out",
            ));
        }
    }
    if labels.contains_key("function") {
        return Err(ProviderError::invalid(
            "labels.function",
            "set by the provider; leave it out",
        ));
    }
    let twice = |key: &&String| labels.contains_key(&format!("{ANNOTATION_PREFIX}{key}"));
    if let Some(key) = deployment.annotations.keys().find(twice) {
        let reason = "the same annotation is given too; use one of the two";
        return Err(ProviderError::invalid(
            format!("labels.{ANNOTATION_PREFIX}{key}"),
            reason,
        ));
    }
    scaling(labels, max_replicas)
}

fn scaling(labels: &Texts, max_replicas: u64) -> Result<(), ProviderError> {
    let min = scale_label(labels, MIN_LABEL)?;
    let max = scale_label(labels, MAX_LABEL)?;
    for (label, value) in [(MIN_LABEL, min), (MAX_LABEL, max)] {
        if value.is_some_and(|value| value > max_replicas) {
            let reason = format!("above max_replicas={max_replicas}");
            return Err(ProviderError::invalid(format!("labels.{label}"), reason));
        }
    }
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        return Err(ProviderError::invalid(
            format!("labels.{MIN_LABEL}"),
            format!("{min} is above {MAX_LABEL}={max}"),
        ));
    }
    if scale_label(labels, FACTOR_LABEL)?.is_some_and(|factor| factor > 100) {
        return Err(ProviderError::invalid(
            format!("labels.{FACTOR_LABEL}"),
            "a percentage from 0 to 100 is expected",
        ));
    }
    Ok(())
}

/// A scaling label as a number, where it is set.
///
/// # Errors
/// [`ProviderError::Invalid`] when it is no whole number from 0 on.
pub fn scale_label(labels: &Texts, label: &str) -> Result<Option<u64>, ProviderError> {
    let Some(text) = labels.get(label) else {
        return Ok(None);
    };
    let wrong = |_| {
        ProviderError::invalid(
            format!("labels.{label}"),
            format!("`{text}` is no whole number from 0 on"),
        )
    };
    text.parse().map(Some).map_err(wrong)
}

/// Replicas to begin with, or to go on with: the minimum label, where it is set and more.
#[must_use]
pub fn at_least_minimum(deployment: &FunctionDeployment, replicas: u64) -> u64 {
    let min = scale_label(&deployment.labels, MIN_LABEL).ok().flatten();
    min.map_or(replicas, |min| min.max(replicas))
}

/// How long a call of a function may take to begin its answer: its annotation, or else `default`.
#[must_use]
pub fn timeout(annotations: &Texts, default: Option<Duration>) -> Option<Duration> {
    match annotations
        .get(TIMEOUT_ANNOTATION)
        .and_then(|text| duration::parse(text).ok())
    {
        Some(own) => faas_http::env::limit(own),
        None => default,
    }
}
