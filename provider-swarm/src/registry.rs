//! Credentials of image registries: a deployment's own, or those of a Docker configuration file of the operator's.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use faas_provider::{FunctionDeployment, ProviderError};
use http::HeaderValue;
use serde::Deserialize;
use serde_json::json;

/// The registry of images that name none, as configuration files call it.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// The header that gives the nodes what they pull a deployment's image with; `None` where nothing is known.
///
/// # Errors
/// 400 where the deployment's credentials cannot be read, 503 where the operator's file cannot.
pub(crate) async fn header(
    deployment: &FunctionDeployment,
    file: Option<&Path>,
) -> Result<Option<HeaderValue>, ProviderError> {
    let registry = registry(&deployment.image);
    if !deployment.registry_auth.is_empty() {
        let (user, password) = pair(&deployment.registry_auth)
            .ok_or_else(|| ProviderError::invalid("registryAuth", "no base64 of user:password"))?;
        return encoded(
            &json!({"username": user, "password": password, "serveraddress": registry}),
        )
        .map(Some);
    }
    let Some(file) = file else { return Ok(None) };
    let unreadable = |error: String| {
        ProviderError::Unavailable(format!("registry_config {}: {error}", file.display()))
    };
    let text = tokio::fs::read(file)
        .await
        .map_err(|error| unreadable(error.to_string()))?;
    let known: DockerConfig =
        // The parser's own words could quote a password.
        serde_json::from_slice(&text).map_err(|_| unreadable("no Docker configuration".into()))?;
    known
        .credentials(registry)
        .map(|value| encoded(&value))
        .transpose()
}

fn encoded(credentials: &serde_json::Value) -> Result<HeaderValue, ProviderError> {
    let mut value = HeaderValue::from_str(&URL_SAFE.encode(credentials.to_string()))
        .map_err(ProviderError::backend)?;
    value.set_sensitive(true);
    Ok(value)
}

/// `user:password` out of its base64 form.
fn pair(encoded: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// The registry that an image comes from: its first part, where that can be a host.
fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if is_docker_hub(host) => DOCKER_HUB,
        Some((host, _)) if host == "localhost" || host.contains(['.', ':']) => host,
        _ => DOCKER_HUB,
    }
}

fn is_docker_hub(host: &str) -> bool {
    matches!(
        host,
        "docker.io" | "index.docker.io" | "registry-1.docker.io"
    )
}

/// `config.json` of the Docker client, cut to what we read. Helper programs are not run.
#[derive(Default, Deserialize)]
#[serde(default)]
struct DockerConfig {
    auths: BTreeMap<String, Auth>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

impl DockerConfig {
    fn credentials(&self, registry: &str) -> Option<serde_json::Value> {
        let (_, found) = self
            .auths
            .iter()
            .find(|(key, _)| self::host(key) == self::host(registry))?;
        if !found.identitytoken.is_empty() {
            return Some(json!({"identitytoken": found.identitytoken, "serveraddress": registry}));
        }
        let (user, password) = match pair(&found.auth) {
            Some(pair) => pair,
            None => (found.username.clone(), found.password.clone()),
        };
        (!user.is_empty())
            .then(|| json!({"username": user, "password": password, "serveraddress": registry}))
    }
}

/// The host of a key, which may be written as a URL.
fn host(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or(rest);
    match is_docker_hub(host) {
        true => "docker.io",
        false => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_of_an_image() {
        for (image, expected) in [
            ("echo", DOCKER_HUB),
            ("me/echo:1", DOCKER_HUB),
            ("docker.io/me/echo", DOCKER_HUB),
            ("ghcr.io/echo", "ghcr.io"),
            ("localhost:5000/echo", "localhost:5000"),
            ("localhost/echo", "localhost"),
            ("r.example/a/b/c@sha256:0", "r.example"),
        ] {
            assert_eq!(registry(image), expected, "{image}");
        }
    }

    async fn sent(
        deployment: FunctionDeployment,
        config: Option<&str>,
    ) -> Option<serde_json::Value> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), config.unwrap_or_default()).unwrap();
        let header = header(&deployment, config.map(|_| file.path()))
            .await
            .unwrap()?;
        assert!(header.is_sensitive());
        Some(serde_json::from_slice(&URL_SAFE.decode(header).unwrap()).unwrap())
    }

    fn image(image: &str, auth: &str) -> FunctionDeployment {
        FunctionDeployment {
            image: image.into(),
            registry_auth: auth.into(),
            ..Default::default()
        }
    }

    #[tokio::test]
    async fn a_deployment_s_own_credentials_come_first() {
        let config = r#"{"auths":{"localhost:5000":{"auth":"b3RoZXI6cHc="}}}"#;
        let own = sent(
            image("localhost:5000/echo", &STANDARD.encode("me:p:w")),
            Some(config),
        )
        .await;
        let expected =
            json!({"username": "me", "password": "p:w", "serveraddress": "localhost:5000"});
        assert_eq!(own, Some(expected));
        assert_eq!(sent(image("echo", ""), None).await, None);
    }

    #[tokio::test]
    async fn the_operator_s_file_is_read_as_the_docker_client_writes_it() {
        let config = r#"{"auths":{
            "https://index.docker.io/v1/":{"auth":"aHViOnB3"},
            "ghcr.io":{"username":"gh","password":"pw"},
            "https://r.example/v2/":{"auth":"","identitytoken":"tok"}},"credsStore":"x"}"#;
        for (name, expected) in [
            (
                "echo",
                Some(json!({"username": "hub", "password": "pw", "serveraddress": DOCKER_HUB})),
            ),
            (
                "ghcr.io/a/b",
                Some(json!({"username": "gh", "password": "pw", "serveraddress": "ghcr.io"})),
            ),
            (
                "r.example/a",
                Some(json!({"identitytoken": "tok", "serveraddress": "r.example"})),
            ),
            ("quay.io/a", None),
        ] {
            assert_eq!(
                sent(image(name, ""), Some(config)).await,
                expected,
                "{name}"
            );
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_told_without_being_quoted() {
        let wrong = header(&image("echo", "geheim"), None).await.unwrap_err();
        assert_eq!(wrong.status(), 400);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            r#"{"auths":{"a":{"auth":7,"password":"geheim"}}}"#,
        )
        .unwrap();
        let wrong = header(&image("echo", ""), Some(file.path()))
            .await
            .unwrap_err();
        assert_eq!(wrong.status(), 503);
        assert!(!wrong.to_string().contains("geheim"), "{wrong}");
    }
}
