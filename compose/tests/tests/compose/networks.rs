//! What functions can reach.

use faas_compose_tests::Platform;
use serde_json::json;

#[tokio::test]
async fn functions_reach_the_gateway_and_nothing_of_the_control_plane() {
    let platform = Platform::prepared(&["docker-compose.yml"]);
    platform.up().await;
    let container = platform.container("prometheus");
    let prometheus = platform.engine.inspect(&container);
    let networks = prometheus["NetworkSettings"]["Networks"]
        .as_object()
        .unwrap();
    let (_, control) = networks.iter().next().unwrap();
    let address = control["IPAddress"].as_str().unwrap();

    // Says what it got, or that it got nothing, within two seconds.
    let reach = |name: &str, host: &str| {
        let target = format!("http://{host}/-/healthy");
        let process = format!("timeout 2 wget -q -O - {target}");
        json!({"service": name, "image": "wget", "envProcess": process})
    };
    platform.deploy(reach("by-name", "prometheus:9090")).await;
    platform
        .deploy(reach("by-address", &format!("{address}:9090")))
        .await;
    let hello = json!({"service": "hello", "image": "echo", "envProcess": "echo hello"});
    platform.deploy(hello).await;
    platform.call("hello", "").await;
    let gateway = "timeout 2 wget -q -O - http://gateway:8080/function/hello";
    let gateway = json!({"service": "asking", "image": "wget", "envProcess": gateway});
    platform.deploy(gateway).await;

    // The same request does get an answer from where it may.
    assert_eq!(platform.call("asking", "").await, "hello\n");
    for function in ["by-name", "by-address"] {
        let path = format!("/function/{function}");
        let ask = async || platform.ask(reqwest::Method::POST, &path, "").await;
        let limit = std::time::Duration::from_secs(30);
        // 500: the function ran, and its wget failed.
        let (_, said) = faas_compose_tests::until(function, limit, ask, |(status, _)| {
            *status == reqwest::StatusCode::INTERNAL_SERVER_ERROR
        })
        .await;
        assert!(!said.contains("Healthy"), "{function}: {said}");
    }
}
