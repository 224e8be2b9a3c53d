//! What is wrong with a deployment, before any provider sees it: the field, and what would be right.

use std::collections::HashSet;

use crate::{
    FunctionDeployment, FunctionResources, ProviderError, Texts, is_dns_label, is_secret_name,
    labels, quantity,
};

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
    labels::check(deployment, max_replicas)?;
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
    use crate::{FACTOR_LABEL, MAX_LABEL, MIN_LABEL, TIMEOUT_ANNOTATION, ZERO_LABEL};

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
