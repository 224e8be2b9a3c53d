//! Log lines as they come.

use faas_provider::LogMessage;
use futures_util::StreamExt;
use serde_json::{Value, json};
use time::macros::datetime;

use crate::support::{Api, soon};

fn line(text: &str) -> LogMessage {
    LogMessage {
        name: "echo".into(),
        namespace: "openfaas-fn".into(),
        instance: "r1".into(),
        timestamp: datetime!(2026-01-02 03:04:05.000000006 UTC),
        text: text.into(),
    }
}

/// A served function and the lines of an open log of it, as they arrive.
async fn following(
    api: &Api,
) -> impl futures_util::Stream<Item = Result<Value, reqwest::Error>> + Unpin + use<> {
    api.deploy("echo").await;
    let response = soon(
        "the log",
        api.request("GET", "/system/logs?name=echo&follow=true")
            .send(),
    )
    .await
    .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    // Lines arrive one by one, each in a chunk of its own.
    response.bytes_stream().map(|chunk| {
        chunk.map(|chunk| {
            assert_eq!(chunk.iter().filter(|byte| **byte == b'\n').count(), 1);
            serde_json::from_slice(&chunk).unwrap()
        })
    })
}

#[tokio::test]
async fn each_line_arrives_before_the_next_is_written() {
    let mut api = Api::start().await;
    let mut lines = following(&api).await;
    let source = api.log_query().await.lines;
    for text in ["first", "  blanks kept  ", "ü \u{1F980} <&> \" \\ \t", ""] {
        source.send(line(text)).unwrap();
        let got = soon("a line", lines.next()).await.unwrap().unwrap();
        let expected = json!({"name": "echo", "namespace": "openfaas-fn", "instance": "r1",
            "timestamp": "2026-01-02T03:04:05.000000006Z", "text": text});
        assert_eq!(got, expected);
    }
    drop(source);
    assert!(soon("the end", lines.next()).await.is_none());
}

#[tokio::test]
async fn a_followed_log_ends_cleanly_when_the_service_stops() {
    let mut api = Api::start().await;
    let mut lines = following(&api).await;
    let source = api.log_query().await.lines;
    source.send(line("last")).unwrap();
    assert_eq!(
        soon("a line", lines.next()).await.unwrap().unwrap()["text"],
        "last"
    );
    api.stop.cancel();
    // The end of the stream, not an error.
    assert!(soon("the end", lines.next()).await.is_none());
    soon("the source to be freed", source.closed()).await;
}

#[tokio::test]
async fn a_reader_who_leaves_frees_the_source_even_when_nothing_is_written() {
    let mut api = Api::start().await;
    let lines = following(&api).await;
    let source = api.log_query().await.lines;
    drop(lines);
    soon("the source to be freed", source.closed()).await;
}

#[tokio::test]
async fn the_query_says_which_lines() {
    let mut api = Api::start().await;
    api.deploy("echo").await;
    for (query, tail, follow, instance) in [
        ("", None, false, None),
        ("&tail=-1&follow=false&instance=", None, false, None),
        ("&tail=0", None, false, None),
        ("&tail=5&follow=1&instance=r2", Some(5), true, Some("r2")),
        ("&tail=5&tail=7&follow=T", Some(7), true, None),
        ("&follow=maybe", None, false, None),
    ] {
        let path = format!("/system/logs?name=echo{query}");
        let (response, asked) = tokio::join!(api.request("GET", &path).send(), async {
            api.log_queries.recv().await.unwrap()
        });
        assert_eq!(response.unwrap().status(), 200);
        let request = asked.request;
        assert_eq!(
            (request.tail, request.follow, request.instance.as_deref()),
            (tail, follow, instance),
            "{query}"
        );
    }
}

#[tokio::test]
async fn since_is_an_instant() {
    let mut api = Api::start().await;
    api.deploy("echo").await;
    for (since, expected) in [
        (
            "2026-01-02T03:04:05Z",
            Some(datetime!(2026-01-02 03:04:05 UTC)),
        ),
        (
            "2026-01-02T05:04:05.5%2B02:00",
            Some(datetime!(2026-01-02 03:04:05.5 UTC)),
        ),
        ("", None),
    ] {
        let _response = api
            .request("GET", &format!("/system/logs?name=echo&since={since}"))
            .send()
            .await
            .unwrap();
        assert_eq!(api.log_query().await.request.since, expected, "{since}");
    }
}

#[tokio::test]
async fn a_query_that_cannot_be_read_is_422() {
    let mut api = Api::start().await;
    api.deploy("echo").await;
    for (query, line) in [
        ("tail=x", "tail: `x` is no whole number"),
        ("tail=1.5", "tail: `1.5` is no whole number"),
        ("since=yesterday", "since: `yesterday` is no time"),
        ("since=2026-01-02", "since: `2026-01-02` is no time"),
    ] {
        api.get(&format!("/system/logs?name=echo&{query}"))
            .await
            .refuses(422, line);
    }
    assert!(api.no_log_query());
}

#[tokio::test]
async fn the_log_of_nothing_is_404_and_of_nobody_400() {
    let api = Api::start().await;
    api.deploy("echo").await;
    api.get("/system/logs?name=none")
        .await
        .refuses(404, "function none.openfaas-fn not found");
    api.get("/system/logs?name=echo&namespace=dev")
        .await
        .refuses(404, "function echo.dev not found");
    api.get("/system/logs?name=..%2F..%2Fetc")
        .await
        .refuses(404, "function ");
    api.get("/system/logs").await.refuses(400, "name: required");
    api.get("/system/logs?name=")
        .await
        .refuses(400, "name: required");
}

#[tokio::test]
async fn the_function_may_be_written_in_full() {
    let mut api = Api::start().await;
    api.post(
        "/system/functions?namespace=dev",
        json!({"service": "echo", "image": "i"}),
    )
    .await
    .is(202);
    for query in [
        "name=echo.dev",
        "name=echo.dev&namespace=",
        "name=echo&namespace=dev",
        "name=echo.dev&namespace=dev",
    ] {
        let _response = api
            .request("GET", &format!("/system/logs?{query}"))
            .send()
            .await
            .unwrap();
        assert_eq!(api.log_query().await.name.as_str(), "echo.dev", "{query}");
    }
}
