//! Calls of functions that really run.

use std::fs;

use serde_json::json;

use crate::support::{Answer, Memory, TestGateway, Wire, until};

#[tokio::test]
async fn a_function_reads_the_request_and_its_output_is_the_answer() {
    let memory = Memory::start().await;
    let gateway = TestGateway::ready(memory.address).await;
    gateway.deploy("count", "wc -c").await;
    gateway.deploy("env", "env").await;

    let counted = gateway.post("/function/count", "x".repeat(100_000)).await;
    assert_eq!((counted.status, counted.text.trim()), (200, "100000"));

    let env = gateway
        .request("PUT", "/function/env/a%2Fb?x=1&y")
        .header("X-Own", "v");
    let env = Answer::to(env).await;
    for line in [
        "Http_Method=PUT",
        "Http_Path=/a/b",
        "Http_Query=x=1&y",
        "Http_X_Own=v",
    ] {
        assert!(
            env.text.lines().any(|said| said == line),
            "{line}: {}",
            env.text
        );
    }
}

#[tokio::test]
async fn a_function_is_updated_scaled_and_deleted_by_way_of_the_gateway() {
    let memory = Memory::start().await;
    let gateway = TestGateway::ready(memory.address).await;
    gateway.deploy("f", "echo one").await;
    assert_eq!(gateway.get("/function/f").await.text, "one\n");

    let two = json!({"service": "f", "image": "none", "envProcess": "echo two"});
    assert_eq!(
        gateway
            .json("PUT", "/system/functions", two.clone())
            .await
            .status,
        202
    );
    until("the update", async || {
        gateway.get("/function/f").await.text == "two\n"
    })
    .await;
    assert_eq!(
        gateway.json("POST", "/system/functions", two).await.status,
        409
    );

    for replicas in [3, 0] {
        let scaled = json!({"serviceName": "f", "replicas": replicas});
        let answer = gateway
            .json("POST", "/system/scale-function/f", scaled)
            .await;
        assert_eq!((answer.status, answer.text.as_str()), (202, ""));
        until("the replicas", async || {
            let status = gateway.get("/system/function/f").await.json();
            status["replicas"] == replicas && status["availableReplicas"] == replicas
        })
        .await;
    }
    let woken = gateway.get("/function/f").await;
    assert_eq!((woken.status, woken.text.as_str()), (200, "two\n"));

    let gone = json!({"functionName": "f"});
    assert_eq!(
        gateway
            .json("DELETE", "/system/functions", gone)
            .await
            .status,
        202
    );
    gateway
        .get("/function/f")
        .await
        .is_refusal(404, "function f.openfaas-fn not found");
}

#[tokio::test]
async fn a_function_deployed_a_moment_ago_is_found() {
    let memory = Memory::start().await;
    let gateway = TestGateway::ready(memory.address).await;
    for round in 0..10 {
        let name = format!("f{round}");
        let path = format!("/function/{name}");
        assert_eq!(gateway.get(&path).await.status, 404);
        let deployment = json!({"service": name, "image": "none", "envProcess": "echo here"});
        assert_eq!(
            gateway
                .json("POST", "/system/functions", deployment)
                .await
                .status,
            202
        );
        let called = gateway.get(&path).await;
        assert_eq!((called.status, called.text.as_str()), (200, "here\n"));
    }
}

#[tokio::test]
async fn a_secret_reaches_the_function_and_nobody_else() {
    let memory = Memory::start().await;
    let gateway = TestGateway::ready(memory.address).await;
    let secret = json!({"name": "key", "value": "s3cr3t"});
    assert_eq!(
        gateway.json("POST", "/system/secrets", secret).await.status,
        201
    );
    let reader = json!({
        "service": "reader", "image": "none", "secrets": ["key"],
        "envProcess": "cat /var/openfaas/secrets/key",
    });
    gateway.deploy_as(reader).await;
    assert_eq!(gateway.get("/function/reader").await.text, "s3cr3t");

    let listed = gateway.get("/system/secrets").await;
    assert_eq!(
        listed.json(),
        json!([{"name": "key", "namespace": "openfaas-fn"}])
    );
    assert!(!listed.text.contains("s3cr3t"));
}

/// Whether a process with this command line runs on this machine.
fn runs(command: &[&str]) -> bool {
    let wanted: String = command.iter().map(|word| format!("{word}\0")).collect();
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes
        .filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok())
        .any(|line| line == wanted)
}

#[tokio::test]
async fn a_caller_who_hangs_up_stops_the_functions_process() {
    let memory = Memory::start().await;
    let gateway = TestGateway::ready(memory.address).await;
    // A figure that no other process on this machine waits for.
    let seconds = format!("8{}", std::process::id());
    gateway.deploy("nap", &format!("sleep {seconds}")).await;
    let command = ["sleep", seconds.as_str()];

    let caller = Wire::asking(gateway.at.public, "GET", "/function/nap").await;
    until("the process to run", async || runs(&command)).await;
    drop(caller);
    until("the process to be gone", async || !runs(&command)).await;
    let hung_up = [("function_name", "nap.openfaas-fn"), ("code", "499")];
    gateway
        .counts("gateway_function_invocation_total", &hung_up, 1.0)
        .await;
    memory.stop().await;
}
