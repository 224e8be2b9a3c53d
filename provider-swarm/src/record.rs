//! What is kept in the swarm about a function, a secret or a namespace: labels under a prefix of our own, which no status
//! shows. The one that says whose an object is decides what we touch.

use faas_provider::{
    FunctionDeployment, FunctionName, FunctionNamespace, ProviderError, Texts, is_dns_label,
};
use serde_json::json;

use crate::engine::{Service, filter};

/// Under this prefix no label of a deployment is taken.
const PRIVATE: &str = "ferrofaas.";
/// Whose an object is.
pub(crate) const OWNER: &str = "ferrofaas.owner";
/// Our value of [`OWNER`].
pub(crate) const US: &str = "provider-swarm";
/// The namespace of a function or a secret.
pub(crate) const NAMESPACE: &str = "ferrofaas.namespace";
/// A function's name within its namespace.
const FUNCTION: &str = "ferrofaas.function";
/// The deployment as it was sent, but for credentials.
const DEPLOYMENT: &str = "ferrofaas.deployment";
/// A secret's name, whichever its version.
pub(crate) const SECRET: &str = "ferrofaas.secret";
/// A secret's version: the highest one is mounted.
pub(crate) const VERSION: &str = "ferrofaas.version";
/// A namespace as it was created.
pub(crate) const DESCRIPTION: &str = "ferrofaas.description";

/// Whether an object with these labels is ours to touch.
pub(crate) fn is_ours(labels: &Texts) -> bool {
    labels.get(OWNER).is_some_and(|owner| owner == US)
}

/// The filter for lists of what is ours, and has one more label if `also` says so.
pub(crate) fn ours(also: Option<(&str, &str)>) -> String {
    let mut labels = vec![format!("{OWNER}={US}")];
    labels.extend(also.map(|(key, value)| format!("{key}={value}")));
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    filter(&[("label", &labels)])
}

/// That a deployment leaves our labels alone.
pub(crate) fn check(deployment: &FunctionDeployment) -> Result<(), ProviderError> {
    let reserved = |key: &&String| key.starts_with(PRIVATE);
    match deployment.labels.keys().find(reserved) {
        None => Ok(()),
        Some(key) => Err(ProviderError::invalid(
            format!("labels.{key}"),
            format!("labels under `{PRIVATE}` are the provider's"),
        )),
    }
}

/// The labels of a function's containers: the deployment's, and what operators of the original look for.
pub(crate) fn container_labels(deployment: &FunctionDeployment) -> Texts {
    let mut labels = deployment.labels.clone();
    labels.insert("com.openfaas.function".into(), deployment.service.clone());
    labels.insert("function".into(), "true".into());
    labels.insert(OWNER.into(), US.into());
    labels
}

/// The labels of a function's service: also all that its status has to give back.
pub(crate) fn service_labels(name: &FunctionName, deployment: &FunctionDeployment) -> Texts {
    let kept = FunctionDeployment {
        registry_auth: String::new(),
        ..deployment.clone()
    };
    let mut labels = container_labels(deployment);
    labels.insert(FUNCTION.into(), name.name().into());
    labels.insert(NAMESPACE.into(), name.namespace().into());
    labels.insert(DEPLOYMENT.into(), json!(kept).to_string());
    labels
}

/// The function that a service of ours runs; `None` where its labels make no sense.
pub(crate) fn function(service: &Service) -> Option<FunctionName> {
    let labels = &service.spec.labels;
    let (name, namespace) = (labels.get(FUNCTION)?, labels.get(NAMESPACE)?);
    let good = is_ours(labels) && is_dns_label(name) && is_dns_label(namespace);
    good.then(|| FunctionName::new(name, namespace))
}

/// The deployment that a service of ours was made for.
pub(crate) fn deployment(service: &Service) -> Option<FunctionDeployment> {
    serde_json::from_str(service.spec.labels.get(DEPLOYMENT)?).ok()
}

/// The labels of the config that stands for a namespace.
pub(crate) fn namespace_labels(namespace: &FunctionNamespace) -> Texts {
    [
        (OWNER, US.to_owned()),
        (DESCRIPTION, json!(namespace).to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

/// The namespace that a config stands for.
pub(crate) fn namespace(labels: &Texts) -> Option<FunctionNamespace> {
    serde_json::from_str(labels.get(DESCRIPTION)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(labels: Texts) -> Service {
        serde_json::from_value(json!({"ID": "1", "Spec": {"Name": "echo", "Labels": labels}}))
            .unwrap()
    }

    #[test]
    fn a_deployment_comes_back_byte_for_byte_and_its_credentials_do_not() {
        let text = |pairs: &[(&str, &str)]| -> Texts {
            pairs
                .iter()
                .map(|(a, b)| ((*a).into(), (*b).into()))
                .collect()
        };
        let sent = FunctionDeployment {
            service: "echo".into(),
            image: "docker.io/library/echo".into(),
            env_vars: text(&[("T", "{{.Node}}\n\"'\\ü")]),
            labels: text(&[
                ("a", "1"),
                ("function", "mine"),
                ("com.openfaas.scale.min", "1"),
            ]),
            annotations: text(&[("topic", " x ")]),
            secrets: vec!["b".into(), "a".into()],
            registry_auth: "dTpw".into(),
            ..Default::default()
        };
        let labels = service_labels(&FunctionName::new("echo", "dev"), &sent);
        assert!(!labels.values().any(|value| value.contains("dTpw")));
        assert_eq!(labels["function"], "true");
        let service = service(labels);
        assert_eq!(function(&service), Some(FunctionName::new("echo", "dev")));
        let expected = FunctionDeployment {
            registry_auth: String::new(),
            ..sent
        };
        assert_eq!(deployment(&service), Some(expected));
    }

    #[test]
    fn what_does_not_carry_our_mark_is_no_function() {
        let mut labels = service_labels(
            &FunctionName::new("echo", "dev"),
            &FunctionDeployment::default(),
        );
        labels.insert(OWNER.into(), "somebody".into());
        assert_eq!(function(&service(labels)), None);
        assert_eq!(function(&service(Texts::new())), None);
    }

    #[test]
    fn our_labels_are_not_a_deployment_s_to_set() {
        let deployment = FunctionDeployment {
            labels: [(OWNER.to_owned(), US.to_owned())].into(),
            ..Default::default()
        };
        let error = check(&deployment).unwrap_err().to_string();
        assert!(error.starts_with("labels.ferrofaas.owner: "), "{error}");
    }
}
