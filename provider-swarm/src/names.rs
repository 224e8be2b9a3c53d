//! What functions, secrets and namespaces are called in the swarm, whose names all stacks share.
//!
//! Names of ours have no underscore, so one underscore divides a namespace from a name, and two a secret from its version.

use faas_provider::{FunctionName, ProviderError};

/// Longest name of a service.
const SERVICE_LIMIT: usize = 63;
/// Longest name of a secret or a config.
const OBJECT_LIMIT: usize = 64;
/// Room for `__v` and the number of a version.
const VERSION_ROOM: usize = 8;
/// What names of configs that stand for namespaces begin with.
const NAMESPACE_PREFIX: &str = "ns_";

/// The name of a function's service: the bare name in the default namespace, `NS_NAME` in others.
///
/// # Errors
/// When the swarm takes no name as long.
pub(crate) fn service(name: &FunctionName, default: &str) -> Result<String, ProviderError> {
    let text = within(name.namespace(), name.name(), default);
    if text.len() > SERVICE_LIMIT {
        let reason = format!(
            "the service would be called `{text}`, and Swarm takes {SERVICE_LIMIT} characters at most"
        );
        return Err(ProviderError::invalid("service", reason));
    }
    Ok(text)
}

/// The name of a version of a secret.
///
/// # Errors
/// When the swarm takes no name as long.
pub(crate) fn secret(
    namespace: &str,
    name: &str,
    version: u64,
    default: &str,
) -> Result<String, ProviderError> {
    let text = within(namespace, name, default);
    let limit = OBJECT_LIMIT - VERSION_ROOM;
    if text.len() > limit {
        let reason = format!(
            "the secret would be called `{text}`, and Swarm has room for {limit} characters"
        );
        return Err(ProviderError::invalid("name", reason));
    }
    Ok(match version {
        1 => text,
        later => format!("{text}__v{later}"),
    })
}

/// The name of the config that stands for a namespace.
///
/// # Errors
/// When the swarm takes no name as long.
pub(crate) fn namespace(name: &str) -> Result<String, ProviderError> {
    let text = format!("{NAMESPACE_PREFIX}{name}");
    if text.len() > OBJECT_LIMIT {
        let limit = OBJECT_LIMIT - NAMESPACE_PREFIX.len();
        let reason =
            format!("`{name}` has more than the {limit} characters that Swarm has room for");
        return Err(ProviderError::invalid("name", reason));
    }
    Ok(text)
}

fn within(namespace: &str, name: &str, default: &str) -> String {
    match namespace == default {
        true => name.to_owned(),
        false => format!("{namespace}_{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_called_as_functions_are_and_by_their_namespace_elsewhere() {
        let named =
            |name: &str, namespace| service(&FunctionName::new(name, namespace), "openfaas-fn");
        assert_eq!(named("echo", "openfaas-fn").unwrap(), "echo");
        assert_eq!(named("echo", "dev").unwrap(), "dev_echo");
        assert!(named(&"a".repeat(63), "openfaas-fn").is_ok());
        let error = named(&"a".repeat(60), "dev").unwrap_err();
        assert_eq!(error.status(), 400);
        assert!(error.to_string().contains("63 characters"), "{error}");
    }

    #[test]
    fn no_two_secrets_get_one_name() {
        let mut names = Vec::new();
        for (namespace, name) in [
            ("fn", "a"),
            ("fn", "v2"),
            ("a", "v2"),
            ("a", "b"),
            ("fn", "a.v2"),
        ] {
            for version in 1..=2 {
                names.push(secret(namespace, name, version, "fn").unwrap());
            }
        }
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all, "{names:?}");
        assert!(secret("fn", &"a".repeat(57), 1, "fn").is_err());
        assert_eq!(secret("dev", "key", 12, "fn").unwrap(), "dev_key__v12");
    }

    #[test]
    fn a_namespace_that_is_too_long_is_refused() {
        assert_eq!(namespace("dev").unwrap(), "ns_dev");
        assert!(namespace(&"a".repeat(61)).is_ok());
        assert!(namespace(&"a".repeat(62)).is_err());
    }
}
