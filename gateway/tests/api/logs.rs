//! Logs, line by line.

use serde_json::{Value, json};

use crate::support::{Fake, Memory, TestGateway, Wire, soon};

#[tokio::test]
async fn a_followed_log_comes_line_by_line_and_ends_cleanly_when_the_gateway_stops() {
    let memory = Memory::start().await;
    let mut gateway = TestGateway::ready(memory.address).await;
    let loud = json!({
        "service": "f", "image": "none", "envProcess": "sh loud.sh",
        "envVars": {"combine_output": "false"},
    });
    gateway.deploy_as(loud).await;
    let path = "/system/logs?name=f&follow=true";
    let mut log = Wire::asking(gateway.at.public, "GET", path).await;
    let head = log.head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(
        head.contains("Content-Type: application/x-ndjson\r\n"),
        "{head}"
    );
    for _ in 0..2 {
        // The script does not exist: each call makes the shell complain.
        gateway.get("/function/f").await;
        let line: Value = soon("the line", async {
            loop {
                let line = log.chunk().await;
                if line.contains("loud.sh") {
                    return serde_json::from_str(line.trim_end()).unwrap();
                }
            }
        })
        .await;
        assert_eq!(
            (&line["name"], &line["namespace"]),
            (&"f".into(), &"openfaas-fn".into())
        );
        assert!(
            line["timestamp"].is_string() && line["instance"].is_string(),
            "{line}"
        );
    }
    gateway.stop();
    let end = log.rest().await;
    assert!(end.ends_with("0\r\n\r\n"), "{end:?}");
    gateway.stopped().await;
}

#[tokio::test]
async fn a_log_without_follow_ends_by_itself() {
    let memory = Memory::start().await;
    let gateway = TestGateway::ready(memory.address).await;
    gateway.deploy("f", "echo hello").await;
    let log = gateway.get("/system/logs?name=f&tail=1").await;
    assert_eq!(
        (log.status, log.header("content-type")),
        (200, "application/x-ndjson")
    );
    for line in log.text.lines() {
        assert_eq!(serde_json::from_str::<Value>(line).unwrap()["name"], "f");
    }
}

#[tokio::test]
async fn what_the_provider_refuses_is_relayed() {
    let memory = Memory::start().await;
    let gateway = TestGateway::ready(memory.address).await;
    gateway.deploy("f", "echo hello").await;
    for (query, status, words) in [
        ("name=nobody", 404, "function nobody.openfaas-fn not found"),
        ("name=f&tail=few", 422, "tail: `few` is no whole number"),
        ("", 400, "name: required: the function whose log is wanted"),
    ] {
        let log = gateway.get(&format!("/system/logs?{query}")).await;
        assert_eq!(
            (log.status, log.text.trim_end()),
            (status, words),
            "{query}"
        );
    }
}

#[tokio::test]
async fn logs_may_be_somebody_elses_to_answer() {
    let fake = Fake::start().await;
    let archive = Fake::start().await;
    archive.answers("/system/logs", 200, "{\"name\":\"f\"}\n");
    let config = faas_gateway::Config {
        logs_provider_url: Some(format!("http://{}", archive.address).parse().unwrap()),
        ..crate::support::config(fake.address)
    };
    let gateway = TestGateway::with(config).await;
    let log = gateway
        .get("/system/logs?name=f&since=2026-01-02T03:04:05Z")
        .await;
    assert_eq!((log.status, log.text.as_str()), (200, "{\"name\":\"f\"}\n"));
    let asked = archive.seen("GET /system/logs?name=f&since=2026-01-02T03:04:05Z");
    assert_eq!(asked.len(), 1);
    assert_eq!(fake.seen("GET /system/logs").len(), 0);
}
