//! A private registry: Debian's, with a password, on the engine's own loopback, where engines ask for no TLS.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Provider, accepted, function, unique, until, with};
use crate::swarm::{IMAGE, engine};

/// The file of passwords: `user` and `right`.
const PASSWORDS: &str = "user:$2b$04$qJIEP7PdRFtf3Z5rg5fhP.WCpgn.4Z2zc3Lyl1c6H42NKgJyUgaUO\n";
/// `user:right` and `user:wrong` as clients send them.
const RIGHT: &str = "dXNlcjpyaWdodA==";
const WRONG: &str = "dXNlcjp3cm9uZw==";

/// A registry with one image that no node has.
struct Registry {
    server: Child,
    directory: TempDir,
    host: String,
}

impl Registry {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Below those that the engine publishes ports of containers at.
        let port = fastrand::u16(20_000..32_000);
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("passwords"), PASSWORDS).unwrap();
        let config = json!({
            "version": 0.1,
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": path("data")}},
            "http": {"addr": format!("127.0.0.1:{port}")},
            "auth": {"htpasswd": {"realm": "tests", "path": path("passwords")}},
        });
        // JSON is YAML.
        std::fs::write(path("registry.yml"), config.to_string()).unwrap();
        let switch = std::env::var("TEST_DOCKER_SWITCH").unwrap();
        let server = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{switch}-1"))
            .args(["docker-registry", "serve"])
            .arg(path("registry.yml"))
            .stdout(Stdio::null())
            .spawn()
            .expect("nsenter and docker-registry (.ci/test installs them)");
        let host = format!("127.0.0.1:{port}");
        let registry = Self {
            server,
            directory,
            host,
        };
        registry.fill().await;
        registry
    }

    fn image(&self) -> String {
        format!("{}/private/echo:1", self.host)
    }

    /// `config.json` with these credentials, in a directory of its own.
    fn docker_config(&self, auth: &str) -> String {
        let directory = self.directory.path().join(auth);
        std::fs::create_dir_all(&directory).unwrap();
        let config = json!({"auths": {&self.host: {"auth": auth}}});
        std::fs::write(directory.join("config.json"), config.to_string()).unwrap();
        directory.to_str().unwrap().to_owned()
    }

    async fn fill(&self) {
        let image = self.image();
        let config = self.docker_config(RIGHT);
        let _ = engine().docker(&["tag", IMAGE, &image]);
        until("the registry", async || {
            let mut push = engine().command("docker");
            let push = push.args(["--config", &config, "push", &image]);
            push.output().unwrap().status.success()
        })
        .await;
        self.forget();
    }

    /// Has the node forget the image, so that it has to pull it.
    fn forget(&self) {
        let mut remove = engine().command("docker");
        remove.args(["rmi", "-f", &self.image()]).output().unwrap();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        self.forget();
    }
}

#[tokio::test]
async fn a_private_image_wants_the_right_password_and_says_so() {
    let registry = Registry::start().await;
    let provider = Provider::start().await;
    let image = registry.image();
    for (auth, words) in [("", "no basic auth credentials"), (WRONG, "unauthorized")] {
        let name = unique("refused");
        let wish = json!({"image": image, "registryAuth": auth});
        assert_eq!(
            provider.deploy(&with(function(&name, "cat"), wish)).await,
            accepted()
        );
        provider.problem(&name, words).await;
        let status = provider.status(&name).await;
        assert!(!status.to_string().contains(WRONG), "{status}");
        until("the reason in the log", async || {
            let texts = provider.log_texts(&name, "").await;
            texts
                .iter()
                .any(|text| text.contains("No such image") && text.contains(words))
        })
        .await;
    }
    let name = unique("granted");
    let wish = json!({"image": image, "registryAuth": RIGHT});
    provider.have(&with(function(&name, "cat"), wish)).await;
    assert_eq!(provider.call(&name, "private").await.1, "private");
    // An update without credentials pulls with those of before.
    registry.forget();
    let wish = json!({"image": image});
    assert_eq!(
        provider
            .update(&with(function(&name, "echo again"), wish))
            .await,
        accepted()
    );
    until("the update", async || {
        provider.call(&name, "").await.1 == "again\n"
    })
    .await;
}

#[tokio::test]
async fn the_provider_s_own_docker_configuration_opens_private_registries() {
    let registry = Registry::start().await;
    let config = registry.docker_config(RIGHT);
    let mount = format!("{}:/config:ro", Path::new(&config).display());
    let provider =
        Provider::mounting(&[("registry_config", "/config/config.json")], &[mount]).await;
    let name = unique("configured");
    provider
        .have(&with(
            function(&name, "cat"),
            json!({"image": registry.image()}),
        ))
        .await;
    assert_eq!(provider.call(&name, "x").await.1, "x");
}
