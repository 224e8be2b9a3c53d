//! What goes wrong around the idler.

use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::platform::{Platform, until};
use crate::processes::{Process, free_port};

#[tokio::test]
async fn a_gateway_that_does_not_scale_to_zero_is_asked_three_times() {
    let platform = Platform::start().await;
    platform.clamps_to(1);
    platform.deploy("idle", json!({"com.openfaas.scale.zero": "true"}));
    until("the gateway to know it", async || {
        platform.call("idle").await == 200
    })
    .await;
    let prometheus = Process::prometheus(platform.metrics);
    let idler = Process::idler(
        platform.public,
        prometheus.port,
        platform.secrets.path(),
        &[],
    );
    until("it to give up", async || {
        idler.log().contains("it is left alone for 1h")
    })
    .await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(
        platform.asked(),
        vec![("idle".to_owned(), 0); 3],
        "{}",
        idler.log()
    );
    assert_eq!(idler.log().matches("left alone").count(), 1);
}

#[tokio::test]
async fn without_prometheus_or_a_password_nothing_is_scaled_and_it_goes_on_looking() {
    let platform = Platform::start().await;
    platform.deploy("idle", json!({"com.openfaas.scale.zero": "true"}));
    let nobody = free_port();
    let mut blind = Process::idler(platform.public, nobody, platform.secrets.path(), &[]);
    let none = tempfile::tempdir().unwrap();
    let mut stranger = Process::idler(platform.public, nobody, none.path(), &[]);
    let silent = "nothing is scaled this time: Prometheus gives no answer";
    until("several looks", async || {
        blind.log().matches(silent).count() >= 3
    })
    .await;
    let refused = "nothing is scaled this time: the gateway: 401";
    until("several refusals", async || {
        stranger.log().matches(refused).count() >= 3
    })
    .await;
    assert!(
        stranger
            .log()
            .contains("the gateway is sent no credentials")
    );
    assert!(blind.is_running() && stranger.is_running());
    assert_eq!(platform.asked(), []);
}

#[tokio::test]
async fn a_prometheus_that_talks_nonsense_is_not_believed() {
    let platform = Platform::start().await;
    platform.deploy("idle", json!({"com.openfaas.scale.zero": "true"}));
    // The gateway's own port answers every question with 404 and a line of text.
    let nonsense = platform.metrics.port();
    let idler = Process::idler(platform.public, nonsense, platform.secrets.path(), &[]);
    until("several looks", async || {
        idler.log().matches("Prometheus answers 404").count() >= 3
    })
    .await;
    assert_eq!(platform.asked(), []);
}

#[test]
fn settings_that_cannot_be_read_are_named() {
    let idler = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_faas-idler"));
        command.env_clear();
        command
    };
    let ended = idler().output().unwrap();
    let words = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        words.contains("gateway_url") && words.contains("prometheus_host"),
        "{words}"
    );
    let help = idler().arg("--help").output().unwrap();
    let words = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(
        words.contains("--dry-run") && words.contains("inactivity_duration"),
        "{words}"
    );
}
