//! What the README shows, with nothing but HTTP.

use futures_util::{Stream, StreamExt};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Local, soon, until};

#[tokio::test]
async fn the_banner_says_where_it_listens_and_how_to_deploy_and_call() {
    let local = Local::start().await;
    let banner = local.banner();
    for words in [
        "curl http://127.0.0.1:",
        "/system/functions -d",
        "/function/count -d 'hello'",
        "faas-cli deploy --gateway http://127.0.0.1:",
    ] {
        assert!(banner.contains(words), "{banner}");
    }
    assert_eq!(local.get("/healthz").await.0, StatusCode::OK);
    let alive = local.metrics.replace("/metrics", "/healthz");
    assert_eq!(reqwest::get(alive).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn what_the_banner_says_works_word_for_word() {
    let local = Local::start().await;
    let banner = local.banner();
    for (line, expected) in banner
        .lines()
        .filter(|line| line.trim_start().starts_with("curl "))
        .zip(["", "5"])
    {
        let shell = tokio::process::Command::new("sh")
            .args([
                "-c",
                &line.replace("curl ", "curl -sS --fail --noproxy '*' "),
            ])
            .output();
        let output = soon("curl", shell).await.unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), expected);
    }
}

#[tokio::test]
async fn a_function_is_deployed_called_listed_inspected_scaled_and_deleted() {
    let local = Local::start().await;
    local.deploy("count", "wc -c").await;
    assert_eq!(local.call("count", "hello").await, ok("5\n"));
    assert_eq!(local.call("count.openfaas-fn", "hello").await, ok("5\n"));

    let listed = local.json("/system/functions").await;
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    let status = local.json("/system/function/count").await;
    for seen in [&listed[0], &status] {
        assert_eq!(seen["name"], "count");
        assert_eq!(seen["envProcess"], "wc -c");
        assert_eq!(seen["replicas"], 1);
    }

    local.scale("count", 3).await;
    local.available("count", 3).await;
    local.scale("count", 0).await;
    local.available("count", 0).await;
    assert_eq!(local.call("count", "from zero").await, ok("9\n"));

    let body = json!({"functionName": "count"});
    let deleted = local.send(Method::DELETE, "/system/functions", body).await;
    assert_eq!(deleted, (StatusCode::ACCEPTED, String::new()));
    assert_eq!(local.json("/system/functions").await, json!([]));
    assert_eq!(local.call("count", "").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_call_brings_its_path_and_query_to_the_function() {
    let local = Local::start().await;
    local.deploy("show", "env").await;
    let path = "/function/show.openfaas-fn/some/path?x=1";
    until("the function", async || local.get(path).await.0 == 200).await;

    let (_, environment) = local.get(path).await;
    let lines: Vec<&str> = environment.lines().collect();
    assert!(lines.contains(&"Http_Path=/some/path"), "{environment}");
    assert!(lines.contains(&"Http_Query=x=1"), "{environment}");
}

#[tokio::test]
async fn an_update_answers_with_the_new_program_and_keeps_the_replicas() {
    let local = Local::start().await;
    local.deploy("echo", "wc -c").await;
    local.scale("echo", 2).await;
    let body = json!({"service": "echo", "image": "echo:2", "envProcess": "cat"});
    let answer = local.send(Method::PUT, "/system/functions", body).await;
    assert_eq!(answer, (StatusCode::ACCEPTED, String::new()));

    until("the new program", async || {
        local.call("echo", "again").await == ok("again")
    })
    .await;
    let status = local.json("/system/function/echo").await;
    assert_eq!(
        (&status["replicas"], &status["image"]),
        (&json!(2), &json!("echo:2"))
    );
}

#[tokio::test]
async fn a_secret_is_read_by_the_function_that_uses_it() {
    let local = Local::start().await;
    let secret = json!({"name": "api-key", "value": "s3cr3t"});
    let created = local.send(Method::POST, "/system/secrets", secret).await;
    assert_eq!(created.0, StatusCode::CREATED);
    let function = json!({
        "service": "reader",
        "image": "reader",
        "envProcess": "cat /var/openfaas/secrets/api-key",
        "secrets": ["api-key"],
    });
    let deployed = local
        .send(Method::POST, "/system/functions", function)
        .await;
    assert_eq!(deployed.0, StatusCode::ACCEPTED);
    assert_eq!(local.call("reader", "").await, ok("s3cr3t"));
    let listed = local.json("/system/secrets").await;
    assert_eq!(
        listed,
        json!([{"name": "api-key", "namespace": "openfaas-fn"}])
    );
}

#[tokio::test]
async fn logs_are_followed_while_the_function_is_called() {
    let local = Local::start().await;
    let function = json!({
        "service": "loud",
        "image": "loud",
        "envProcess": "tee /dev/stderr",
        "envVars": {"combine_output": "false"},
    });
    let deployed = local
        .send(Method::POST, "/system/functions", function)
        .await;
    assert_eq!(deployed.0, StatusCode::ACCEPTED);
    let logs = local.request(Method::GET, "/system/logs?name=loud&follow=true");
    let mut lines = log_texts(soon("the log", logs.send()).await.unwrap());
    for word in ["first", "second"] {
        assert_eq!(
            local.call("loud", &format!("{word}\n")).await.0,
            StatusCode::OK
        );
        let line = async { while !lines.next().await.unwrap().contains(word) {} };
        soon(word, line).await;
    }
}

fn ok(body: &str) -> (StatusCode, String) {
    (StatusCode::OK, body.to_owned())
}

/// The text of each line, as it comes.
fn log_texts(response: reqwest::Response) -> impl Stream<Item = String> + Unpin {
    let chunks = response.bytes_stream().map(|chunk| chunk.unwrap());
    let lines = chunks.scan(Vec::new(), |rest: &mut Vec<u8>, chunk| {
        rest.extend_from_slice(&chunk);
        let end = rest
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let whole: Vec<u8> = rest.drain(..end).collect();
        std::future::ready(Some(String::from_utf8(whole).unwrap()))
    });
    let texts = lines.flat_map(|lines| {
        let texts: Vec<String> = lines.lines().map(text).collect();
        futures_util::stream::iter(texts)
    });
    Box::pin(texts)
}

fn text(line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap();
    line["text"].as_str().unwrap().to_owned()
}
