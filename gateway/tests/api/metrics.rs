//! The series that dashboards, alert rules and the idler ask for.

use serde_json::json;

use crate::support::{Deployed, Fake, Memory, TestGateway, Wire, until};

const TOTAL: &str = "gateway_function_invocation_total";
const STARTED: &str = "gateway_function_invocation_started";
const REPLICAS: &str = "gateway_service_count";
const COUNT: &str = "gateway_functions_seconds_count";

fn of<'a>(name: &'a str, code: &'a str) -> [(&'static str, &'a str); 2] {
    [("function_name", name), ("code", code)]
}

#[tokio::test]
async fn series_carry_the_originals_names_labels_buckets_and_words() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(2));
    let gateway = TestGateway::ready(fake.address).await;
    assert_eq!(gateway.get("/function/f").await.status, 200);
    gateway
        .counts(TOTAL, &of("f.openfaas-fn", "200"), 1.0)
        .await;
    let page = gateway.private("/metrics").await;
    assert_eq!(
        page.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let lines: Vec<&str> = page.text.lines().collect();
    for line in [
        "# HELP gateway_function_invocation_total Function metrics",
        "# TYPE gateway_function_invocation_total counter",
        "gateway_function_invocation_total{code=\"200\",function_name=\"f.openfaas-fn\"} 1",
        "# HELP gateway_functions_seconds Function time taken",
        "# TYPE gateway_functions_seconds histogram",
        "gateway_functions_seconds_count{code=\"200\",function_name=\"f.openfaas-fn\"} 1",
        "# HELP gateway_service_count Current count of replicas for function",
        "# TYPE gateway_service_count gauge",
        "gateway_service_count{function_name=\"f.openfaas-fn\"} 2",
        "# HELP gateway_function_invocation_started The total number of function HTTP requests started.",
        "# TYPE gateway_function_invocation_started counter",
        "gateway_function_invocation_started{function_name=\"f.openfaas-fn\"} 1",
    ] {
        assert!(lines.contains(&line), "{line} is not in:\n{}", page.text);
    }
    let bucket = |line: &&&str| line.starts_with("gateway_functions_seconds_bucket{");
    let edge = |line: &&str| {
        line.split("le=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned()
    };
    let edges: Vec<String> = lines.iter().filter(bucket).map(edge).collect();
    let expected = [
        "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf",
    ];
    assert_eq!(edges, expected);
    assert!(
        page.text.contains("process_resident_memory_bytes "),
        "{}",
        page.text
    );
}

#[tokio::test]
async fn calls_are_counted_by_the_code_that_the_caller_sees() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let nobody = Fake::start().await;
    let address = Some(nobody.replica.address);
    drop(nobody);
    fake.deploy(
        "dead",
        Deployed {
            address,
            ..Deployed::with(1)
        },
    );
    let gateway = TestGateway::ready(fake.address).await;
    for code in ["200", "418", "302", "500"] {
        assert_eq!(
            gateway
                .get(&format!("/function/f/status/{code}"))
                .await
                .status
                .to_string(),
            code
        );
        gateway.counts(TOTAL, &of("f.openfaas-fn", code), 1.0).await;
        gateway.counts(COUNT, &of("f.openfaas-fn", code), 1.0).await;
    }
    assert_eq!(gateway.get("/function/dead").await.status, 502);
    gateway
        .counts(TOTAL, &of("dead.openfaas-fn", "502"), 1.0)
        .await;
    gateway
        .counts(STARTED, &[("function_name", "f.openfaas-fn")], 4.0)
        .await;
}

#[tokio::test]
async fn a_caller_who_hangs_up_before_the_answer_counts_as_499() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    let caller = Wire::asking(gateway.at.public, "GET", "/function/f/hold").await;
    fake.replica.stage.holds(1).await;
    let started = [("function_name", "f.openfaas-fn")];
    assert_eq!(gateway.sample(STARTED, &started).await, Some(1.0));
    drop(caller);
    gateway
        .counts(TOTAL, &of("f.openfaas-fn", "499"), 1.0)
        .await;
    fake.replica.stage.holds(0).await;
}

#[tokio::test]
async fn a_caller_who_hangs_up_in_the_middle_of_the_body_counts_as_499() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    let mut caller = Wire::to(gateway.at.public).await;
    let head = "POST /function/f/count HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf";
    caller.send(head).await;
    gateway
        .counts(STARTED, &[("function_name", "f.openfaas-fn")], 1.0)
        .await;
    drop(caller);
    gateway
        .counts(TOTAL, &of("f.openfaas-fn", "499"), 1.0)
        .await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_counts_as_502() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    let mut caller = Wire::asking(gateway.at.public, "GET", "/function/f/broken").await;
    let answer = caller.rest().await;
    assert!(!answer.ends_with("0\r\n\r\n"), "{answer:?}");
    gateway
        .counts(TOTAL, &of("f.openfaas-fn", "502"), 1.0)
        .await;
    assert_eq!(
        gateway.sample(TOTAL, &of("f.openfaas-fn", "200")).await,
        None
    );
}

#[tokio::test]
async fn names_that_callers_make_up_share_one_series() {
    let fake = Fake::start().await;
    let gateway = TestGateway::ready(fake.address).await;
    for name in ["made", "up", "names", "made"] {
        assert_eq!(gateway.get(&format!("/function/{name}")).await.status, 404);
    }
    gateway.counts(TOTAL, &of("unknown", "404"), 4.0).await;
    let page = gateway.private("/metrics").await.text;
    assert!(!page.contains("made") && !page.contains("names"), "{page}");
}

#[tokio::test]
async fn series_of_a_deleted_function_vanish() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    fake.deploy("g", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    for path in ["/function/f", "/function/f/status/500", "/function/g"] {
        gateway.get(path).await;
    }
    gateway
        .counts(TOTAL, &of("f.openfaas-fn", "500"), 1.0)
        .await;
    gateway
        .counts(TOTAL, &of("g.openfaas-fn", "200"), 1.0)
        .await;
    fake.delete("f");
    until("the series to vanish", async || {
        !gateway
            .private("/metrics")
            .await
            .text
            .contains("\"f.openfaas-fn\"")
    })
    .await;
    assert_eq!(
        gateway.sample(TOTAL, &of("g.openfaas-fn", "200")).await,
        Some(1.0)
    );
}

#[tokio::test]
async fn a_call_that_outlives_its_function_does_not_bring_the_series_back() {
    let fake = Fake::start().await;
    fake.deploy("f", Deployed::with(1));
    fake.deploy("g", Deployed::with(1));
    let gateway = TestGateway::ready(fake.address).await;
    let mut caller = Wire::asking(gateway.at.public, "GET", "/function/f/hold").await;
    fake.replica.stage.holds(1).await;
    fake.delete("f");
    until("the series to vanish", async || {
        !gateway
            .private("/metrics")
            .await
            .text
            .contains("\"f.openfaas-fn\"")
    })
    .await;
    fake.replica.stage.let_go(1);
    caller.until("released").await;
    drop(caller);
    // A later call of another function is counted after the end of this one.
    assert_eq!(gateway.get("/function/g").await.status, 200);
    gateway
        .counts(TOTAL, &of("g.openfaas-fn", "200"), 1.0)
        .await;
    let page = gateway.private("/metrics").await.text;
    assert!(!page.contains("\"f.openfaas-fn\""), "{page}");
}

#[tokio::test]
async fn replicas_are_those_asked_for_in_every_namespace() {
    let memory = Memory::start().await;
    let gateway = TestGateway::ready(memory.address).await;
    let namespace = json!({"name": "dev", "labels": {"openfaas": "1"}});
    assert_eq!(
        gateway
            .json("POST", "/system/namespace/", namespace)
            .await
            .status,
        201
    );
    gateway.deploy("f", "cat").await;
    let in_dev = json!({"service": "f", "namespace": "dev", "image": "none", "envProcess": "cat"});
    gateway.deploy_as(in_dev).await;
    let scale = json!({"replicas": 3, "namespace": "dev"});
    assert_eq!(
        gateway
            .json("POST", "/system/scale-function/f", scale)
            .await
            .status,
        202
    );
    gateway
        .counts(REPLICAS, &[("function_name", "f.dev")], 3.0)
        .await;
    gateway
        .counts(REPLICAS, &[("function_name", "f.openfaas-fn")], 1.0)
        .await;
    let zero = json!({"replicas": 0});
    assert_eq!(
        gateway
            .json("POST", "/system/scale-function/f", zero)
            .await
            .status,
        202
    );
    gateway
        .counts(REPLICAS, &[("function_name", "f.openfaas-fn")], 0.0)
        .await;
}
