//! What is wrong with a deployment, before any provider sees it: the field, and what would be right.

use std::collections::HashSet;
use std::time::Duration;

use faas_http::duration;

use crate::{
    FunctionDeployment, FunctionResources, ProviderError, Texts, is_dns_label, is_secret_name,
    quantity,
};

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

/// Longest environment variable that Linux passes on, name and `=` included.
const VARIABLE_LIMIT_BYTES: usize = 128 * 1024 - 1;

type Checked = Result<(), ProviderError>;

/// Checks everything that does not take a back-end to check.
pub(crate) fn deployment(deployment: &FunctionDeployment, max_replicas: u64) -> Checked {
    service(&deployment.service)?;
    image(&deployment.image)?;
    no_nul("envProcess", &deployment.env_process)?;
    environment(&deployment.env_vars)?;
    secrets(&deployment.secrets)?;
    labels(deployment, max_replicas)?;
    if let Some(text) = deployment.annotations.get(TIMEOUT_ANNOTATION) {
        duration::parse(text).map_err(|error| {
            ProviderError::invalid(
                format!("annotations.{TIMEOUT_ANNOTATION}"),
                error.to_string(),
            )
        })?;
    }
    resources(deployment)
}

fn service(name: &str) -> Checked {
    if name.is_empty() {
        return Err(ProviderError::invalid(
            "service",
            "required: the function's name",
        ));
    }
    if !is_dns_label(name) {
        let reason = format!(
            "`{name}` is no function name: use 1 to 63 of a-z, 0-9 and dashes, with a letter or digit at both ends"
        );
        return Err(ProviderError::invalid("service", reason));
    }
    Ok(())
}

fn image(image: &str) -> Checked {
    if image.is_empty() {
        return Err(ProviderError::invalid(
            "image",
            "required: the reference of an image",
        ));
    }
    if image.len() > 1024 || image.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let reason =
            "no reference of an image: no blanks or control characters, at most 1024 bytes";
        return Err(ProviderError::invalid("image", reason));
    }
    Ok(())
}

fn no_nul(field: &str, text: &str) -> Checked {
    if text.contains('\0') {
        return Err(ProviderError::invalid(
            field,
            "contains a NUL byte, which no program can be given",
        ));
    }
    Ok(())
}

fn environment(variables: &Texts) -> Checked {
    for (name, value) in variables {
        let field = || format!("envVars.{name}");
        if name.is_empty() || name.contains('=') {
            let reason = "a variable's name is neither empty nor contains `=`";
            return Err(ProviderError::invalid(field(), reason));
        }
        no_nul(&field(), name)?;
        no_nul(&field(), value)?;
        if name.len() + value.len() + 1 > VARIABLE_LIMIT_BYTES {
            return Err(ProviderError::invalid(
                field(),
                "longer than the 128 KiB that Linux gives a variable",
            ));
        }
    }
    Ok(())
}

fn secrets(names: &[String]) -> Checked {
    let mut seen = HashSet::new();
    for name in names {
        if !is_secret_name(name) {
            return Err(ProviderError::invalid(
                "secrets",
                format!("`{name}` is no name of a secret"),
            ));
        }
        if !seen.insert(name) {
            return Err(ProviderError::invalid(
                "secrets",
                format!("`{name}` is named twice"),
            ));
        }
    }
    Ok(())
}

fn labels(deployment: &FunctionDeployment, max_replicas: u64) -> Checked {
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

fn scaling(labels: &Texts, max_replicas: u64) -> Checked {
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

fn resources(deployment: &FunctionDeployment) -> Checked {
    let amounts = |resources: &Option<FunctionResources>, field: &str| match resources {
        Some(resources) => parsed(resources, field),
        None => Ok((None, None)),
    };
    let (memory, cpu) = amounts(&deployment.limits, "limits")?;
    let (least_memory, least_cpu) = amounts(&deployment.requests, "requests")?;
    for (name, limit, least) in [("memory", memory, least_memory), ("cpu", cpu, least_cpu)] {
        if let (Some(limit), Some(least)) = (limit, least)
            && least > limit
        {
            return Err(ProviderError::invalid(
                format!("requests.{name}"),
                format!("above limits.{name}"),
            ));
        }
    }
    Ok(())
}

type Amounts = (Option<u64>, Option<u64>);

fn parsed(resources: &FunctionResources, field: &str) -> Result<Amounts, ProviderError> {
    let amount = |text: &str, name: &str, parse: fn(&str) -> Result<u64, String>| {
        if text.is_empty() {
            return Ok(None);
        }
        parse(text)
            .map(Some)
            .map_err(|reason| ProviderError::invalid(format!("{field}.{name}"), reason))
    };
    for (name, text) in [
        ("nvidia.com/gpu", &resources.nvidia_gpu),
        ("amd.com/gpu", &resources.amd_gpu),
        ("intel.com/gpu", &resources.intel_gpu),
    ] {
        if !text.is_empty() && text.parse::<u32>().is_err() {
            return Err(ProviderError::invalid(
                format!("{field}.{name}"),
                format!("`{text}` is no number of GPUs"),
            ));
        }
    }
    Ok((
        amount(&resources.memory, "memory", quantity::memory_bytes)?,
        amount(&resources.cpu, "cpu", quantity::cpu_millis)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(change: impl FnOnce(&mut FunctionDeployment)) -> String {
        let mut wish = FunctionDeployment {
            service: "f".into(),
            image: "i".into(),
            ..Default::default()
        };
        change(&mut wish);
        deployment(&wish, 100)
            .err()
            .map_or_else(String::new, |error| error.to_string())
    }

    fn texts(pairs: &[(&str, &str)]) -> Texts {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_plain_deployment_is_fine() {
        assert_eq!(complaint(|_| ()), "");
        assert_eq!(
            complaint(
                |d| d.labels = texts(&[("faas_function", "f"), (MIN_LABEL, "2"), (MAX_LABEL, "2")])
            ),
            ""
        );
        assert_eq!(
            complaint(|d| d.labels = texts(&[(ZERO_LABEL, "true"), (FACTOR_LABEL, "0")])),
            ""
        );
    }

    #[test]
    fn each_mistake_names_its_field() {
        let resources = |memory: &str, cpu: &str| {
            Some(FunctionResources {
                memory: memory.into(),
                cpu: cpu.into(),
                ..Default::default()
            })
        };
        let cases: Vec<(String, &str)> = vec![
            (
                complaint(|d| d.service = String::new()),
                "service: required",
            ),
            (
                complaint(|d| d.service = "../x".into()),
                "service: `../x` is no function name",
            ),
            (complaint(|d| d.image = String::new()), "image: required"),
            (complaint(|d| d.image = "a b".into()), "image: no reference"),
            (
                complaint(|d| d.env_process = "a\0b".into()),
                "envProcess: contains a NUL",
            ),
            (
                complaint(|d| d.env_vars = texts(&[("a=b", "")])),
                "envVars.a=b: ",
            ),
            (
                complaint(|d| d.env_vars = texts(&[("a", &"x".repeat(200_000))])),
                "envVars.a: longer",
            ),
            (
                complaint(|d| d.secrets = vec!["../x".into()]),
                "secrets: `../x` is no name",
            ),
            (
                complaint(|d| d.secrets = vec!["s".into(), "s".into()]),
                "secrets: `s` is named twice",
            ),
            (
                complaint(|d| d.labels = texts(&[(MIN_LABEL, "abc")])),
                "labels.com.openfaas.scale.min: `abc`",
            ),
            (
                complaint(|d| d.labels = texts(&[(MIN_LABEL, "-1")])),
                "labels.com.openfaas.scale.min: `-1`",
            ),
            (
                complaint(|d| d.labels = texts(&[(MAX_LABEL, "101")])),
                "labels.com.openfaas.scale.max: above max_replicas=100",
            ),
            (
                complaint(|d| d.labels = texts(&[(MIN_LABEL, "3"), (MAX_LABEL, "2")])),
                "labels.com.openfaas.scale.min: 3 is above",
            ),
            (
                complaint(|d| d.labels = texts(&[(FACTOR_LABEL, "101")])),
                "labels.com.openfaas.scale.factor: a percentage",
            ),
            (
                complaint(|d| d.labels = texts(&[("function", "")])),
                "labels.function: set by the provider",
            ),
            (
                complaint(|d| d.labels = texts(&[("faas_function", "other")])),
                "labels.faas_function: set by",
            ),
            (
                complaint(|d| {
                    d.labels = texts(&[("com.openfaas.annotations.a", "1")]);
                    d.annotations = texts(&[("a", "2")]);
                }),
                "labels.com.openfaas.annotations.a: the same annotation",
            ),
            (
                complaint(|d| d.annotations = texts(&[(TIMEOUT_ANNOTATION, "soon")])),
                "annotations.com.openfaas.timeout: `soon`",
            ),
            (
                complaint(|d| d.limits = resources("lots", "")),
                "limits.memory: `lots`",
            ),
            (
                complaint(|d| d.requests = resources("", "x")),
                "requests.cpu: `x`",
            ),
            (
                complaint(|d| {
                    d.limits = resources("5Mi", "");
                    d.requests = resources("6Mi", "");
                }),
                "requests.memory: above limits.memory",
            ),
        ];
        for (complaint, expected) in cases {
            assert!(
                complaint.starts_with(expected),
                "`{complaint}` does not start with `{expected}`"
            );
        }
    }
}
