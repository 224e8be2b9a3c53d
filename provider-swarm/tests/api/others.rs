//! What is in the swarm and not ours stays as it is, and out of sight.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{Provider, function, unique, with};
use crate::swarm::{IMAGE, NETWORK, engine, service};

/// A service that nobody deployed through a provider; removed when dropped.
struct Foreign(String);

impl Foreign {
    fn service() -> Self {
        let name = unique("foreign");
        let create = [
            "service",
            "create",
            "-d",
            "--no-resolve-image",
            "--network",
            NETWORK,
            "--endpoint-mode",
            "dnsrr",
            "--label",
            "function=true",
            "--name",
            &name,
            "-e",
            "fprocess=cat",
            IMAGE,
        ];
        let _ = engine().docker(&create);
        Self(name)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = engine().docker(&["service", "rm", &self.0]);
    }
}

#[tokio::test]
async fn a_service_that_is_not_ours_cannot_be_seen_changed_or_called() {
    let provider = Provider::start().await;
    let foreign = Foreign::service();
    let name = foreign.0.as_str();
    let before = service(name)["Spec"].clone();

    let (status, words) = provider.deploy(&function(name, "cat")).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(
        words,
        format!("the swarm has a service `{name}` that is no function of this platform\n")
    );
    assert_eq!(provider.update(&function(name, "cat")).await.0, 404);
    assert_eq!(provider.scale(name, 0).await.0, 404);
    assert_eq!(provider.delete(name).await.0, 404);
    assert_eq!(
        provider.get(&format!("/system/function/{name}")).await.0,
        404
    );
    assert_eq!(
        provider.get(&format!("/system/logs?name={name}")).await.0,
        404
    );
    assert_eq!(provider.call(name, "x").await.0, 404);
    assert_eq!(provider.json("/system/functions").await, json!([]));
    assert_eq!(service(name)["Spec"], before);
}

#[tokio::test]
async fn the_beginning_of_a_name_or_an_id_is_not_the_function() {
    let provider = Provider::start().await;
    let name = unique("whole");
    provider.have(&function(&name, "cat")).await;
    let id = service(&name)["ID"].as_str().unwrap().to_owned();
    for other in [&name[..name.len() - 1], &id] {
        assert_eq!(
            provider.get(&format!("/system/function/{other}")).await.0,
            404
        );
        assert_eq!(provider.scale(other, 0).await.0, 404);
        assert_eq!(provider.call(other, "").await.0, 404);
    }
}

#[tokio::test]
async fn a_secret_that_is_not_ours_cannot_be_mounted_listed_changed_or_removed() {
    let provider = Provider::start().await;
    let name = unique("foreign");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "theirs").unwrap();
    let id = engine().docker(&["secret", "create", &name, file.path().to_str().unwrap()]);

    let wish = json!({"name": name, "value": "mine"});
    let (status, words) = provider.post("/system/secrets", &wish).await;
    assert_eq!(
        (status, words.contains("not of this platform")),
        (StatusCode::CONFLICT, true),
        "{words}"
    );
    assert_eq!(provider.put("/system/secrets", &wish).await.0, 404);
    assert_eq!(provider.remove("/system/secrets", &wish).await.0, 404);
    assert_eq!(provider.json("/system/secrets").await, json!([]));
    let reader = with(
        function(&unique("reader"), "cat"),
        json!({"secrets": [name]}),
    );
    assert_eq!(provider.deploy(&reader).await.0, 400);

    assert_eq!(
        engine().docker(&["secret", "rm", id.trim()]).trim(),
        id.trim()
    );
}
