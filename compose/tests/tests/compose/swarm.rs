//! Functions as containers: beside the compose file's services, and all of it as a stack.

use std::time::Duration;

use faas_compose_tests::{Platform, Stack, until};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::sync::Mutex;

use crate::certified::{CALLBACKS, GATEWAY, certify};
use crate::queued::one_call;

/// Both platforms run functions on the same swarm: one at a time.
static SWARM: Mutex<()> = Mutex::const_new(());

/// The certifier's test functions.
const IMAGES: &str = r#"
[classic]
image = "functions/alpine:latest"

[redirector]
image = "functions/redirector:latest"
process = "./handler"

[probe]
image = "functions/probe:latest"
"#;

const PATIENCE: Duration = Duration::from_secs(120);
const PORT: u16 = 8090;

/// Deploys, calls, scales, asks for the log, deletes.
async fn journey(platform: &Platform) {
    let wish =
        json!({"service": "count", "image": "functions/alpine:latest", "envProcess": "wc -c"});
    platform.deploy(wish).await;
    assert_eq!(platform.call("count", "hello").await.trim(), "5");

    let wish = json!({"serviceName": "count", "replicas": 3}).to_string();
    let path = "/system/scale-function/count";
    let scaled = platform.ask(Method::POST, path, wish).await;
    assert_eq!(scaled.0, StatusCode::ACCEPTED, "{scaled:?}");
    let status = async || {
        platform
            .ask(Method::GET, "/system/function/count", "")
            .await
            .1
    };
    until("three replicas", PATIENCE, status, |status| {
        status.contains("\"availableReplicas\":3")
    })
    .await;
    let log = async || {
        platform
            .ask(Method::GET, "/system/logs?name=count", "")
            .await
            .1
    };
    until("the call in the log", PATIENCE, log, |log| {
        log.contains("Wrote 2 Bytes")
    })
    .await;

    one_call(platform, "count").await;

    let name = json!({"functionName": "count"}).to_string();
    let deleted = platform
        .ask(Method::DELETE, "/system/functions", name)
        .await;
    assert!(deleted.0.is_success(), "{deleted:?}");
}

#[tokio::test]
async fn the_compose_file_with_one_more_runs_functions_as_containers() {
    let _alone = SWARM.lock().await;
    let platform = Platform::prepared(&["docker-compose.yml", "swarm.yml"]);
    platform.up().await;
    journey(&platform).await;
    certify(&platform, GATEWAY, IMAGES, "compose-swarm", &[]).await;
}

#[tokio::test]
async fn a_stack_runs_functions_as_containers() {
    let _alone = SWARM.lock().await;
    let stack = Stack::deployed("func", PORT);
    let running = async || stack.services();
    until("every service to run", PATIENCE, running, |services| {
        services.lines().count() == 7 && services.lines().all(|line| line.ends_with(" 1/1"))
    })
    .await;
    let healthy = async || stack.platform.ask(Method::GET, "/healthz", "").await.0;
    until("the platform", PATIENCE, healthy, |code| {
        *code == StatusCode::OK
    })
    .await;
    journey(&stack.platform).await;
    certify_queue(&stack);
}

/// The certifier beside the stack, as the manual says: what it checks of asynchronous calls.
fn certify_queue(stack: &Stack) {
    let file = |name: &str, place: &str| {
        let path = stack.platform.path().join(name);
        ["-v".to_owned(), format!("{}:{place}:ro", path.display())]
    };
    let secret = |name| file(&format!("secrets/{name}"), &format!("/run/secrets/{name}"));
    std::fs::write(stack.platform.path().join("certifier.toml"), IMAGES).unwrap();
    let volumes = [
        secret("basic-auth-user"),
        secret("basic-auth-password"),
        file("certifier.toml", "/certifier.toml"),
    ];
    let volumes = volumes.as_flattened().iter().map(String::as_str);
    let run = ["run", "--rm", "--network", "func_queue"].into_iter();
    let run = run.chain(volumes).chain(["ferrofaas/certifier"]);
    let asked = "--basic-auth-dir /run/secrets --gateway http://tasks.gateway:8080 --image-map /certifier.toml \
                 --group async --group callbacks";
    let arguments = run.chain(asked.split_whitespace()).chain(CALLBACKS);
    let report = stack.platform.engine.docker(&arguments.collect::<Vec<_>>());
    assert!(report.contains(" 0 failed, 0 skipped"), "{report}");
    println!("{report}");
}
