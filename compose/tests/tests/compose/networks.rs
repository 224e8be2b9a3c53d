//! What functions can reach.

use std::time::Duration;

use faas_compose_tests::{Platform, until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(30);

/// Address of a service's container on a network of its own.
fn address(platform: &Platform, service: &str, network: &str) -> String {
    let container = platform.engine.inspect(&platform.container(service));
    let networks = container["NetworkSettings"]["Networks"]
        .as_object()
        .unwrap();
    let ours = networks
        .iter()
        .find(|(name, _)| name.ends_with(&format!("_{network}")));
    let (_, ours) = ours.unwrap();
    ours["IPAddress"].as_str().unwrap().to_owned()
}

/// Names of the networks that a service's container is on, without the project's.
fn networks_of(platform: &Platform, service: &str) -> Vec<String> {
    let container = platform.engine.inspect(&platform.container(service));
    let networks = container["NetworkSettings"]["Networks"]
        .as_object()
        .unwrap();
    let short = |name: &String| name.rsplit('_').next().unwrap().to_owned();
    networks.keys().map(short).collect()
}

/// Sends a request, whatever is at that place, and says what comes within two seconds; fails if nothing does.
fn reach(name: &str, host: &str, port: u16) -> Value {
    let process = format!("timeout 2 nc {host} {port}");
    json!({"service": name, "image": "nc", "envProcess": process})
}

const REQUEST: &str = "GET /-/healthy HTTP/1.0\r\n\r\n";

#[tokio::test]
async fn functions_reach_the_gateway_and_nothing_of_the_control_plane() {
    let platform = Platform::prepared(&["docker-compose.yml"]);
    platform.up().await;
    let hello = json!({"service": "hello", "image": "echo", "envProcess": "echo hello"});
    platform.deploy(hello).await;
    platform.call("hello", "").await;
    let gateway = "timeout 2 wget -q -O - http://gateway:8080/function/hello";
    let gateway = json!({"service": "asking", "image": "wget", "envProcess": gateway});
    platform.deploy(gateway).await;
    // A request does get an answer from where it may.
    assert_eq!(platform.call("asking", "").await, "hello\n");
    platform.deploy(reach("by-nc", "gateway", 8080)).await;
    // nc says at once that it will say nothing more; that the answer was faster than that is not sure each time.
    let asked = async || platform.call("by-nc", REQUEST).await;
    until("an answer to nc", SOON, asked, |said| {
        said.contains("HTTP/1.")
    })
    .await;

    for (service, network, port) in [
        ("prometheus", "control", 9090),
        ("alertmanager", "control", 9093),
        ("nats", "queue", 4222),
        ("idler", "control", 8081),
        ("queue-worker", "queue", 8081),
    ] {
        let by_name = format!("{service}-by-name");
        let by_address = format!("{service}-by-address");
        platform.deploy(reach(&by_name, service, port)).await;
        let address = address(&platform, service, network);
        platform.deploy(reach(&by_address, &address, port)).await;
        for function in [by_name, by_address] {
            let path = format!("/function/{function}");
            let ask = async || platform.ask(Method::POST, &path, REQUEST).await;
            // 500: the function ran, and reached nothing.
            let (_, said) = until(&function, SOON, ask, |(status, _)| {
                *status == StatusCode::INTERNAL_SERVER_ERROR
            })
            .await;
            assert!(!said.contains("HTTP/1."), "{function}: {said}");
        }
    }
}

/// Whoever calls a function names the URL that its answer is posted to: the queue-worker posts there.
#[tokio::test]
async fn what_posts_callbacks_reaches_no_alerts_and_no_provider() {
    let platform = Platform::prepared(&["docker-compose.yml"]);
    platform.compose(&["up", "--no-start"]);
    assert_eq!(networks_of(&platform, "queue-worker"), ["queue"]);
    assert_eq!(networks_of(&platform, "nats"), ["queue"]);
    for hidden in ["alertmanager", "provider"] {
        let networks = networks_of(&platform, hidden);
        assert!(!networks.contains(&"queue".to_owned()), "{hidden}");
    }
}
