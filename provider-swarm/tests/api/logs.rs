//! Logs: whole lines, in order, and nothing left behind.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::json;

use crate::fault_proxy::FaultProxy;
use crate::support::{Provider, accepted, function, unique, until, with};

/// How soon somebody who follows a log sees what was written.
const SOON: Duration = Duration::from_secs(3);

/// A function whose process writes to stderr, which is its log.
async fn have(provider: &Provider, name: &str, script: &str) {
    let process = format!("sh -c {}", script.replace(' ', "${IFS}"));
    let plain = json!({"envVars": {"healthcheck_interval": "0s", "prefix_logs": "false", "combine_output": "false"}});
    provider.have(&with(function(name, &process), plain)).await;
}

#[tokio::test]
async fn lines_come_whole_however_long_short_or_strange() {
    let provider = Provider::start().await;
    let name = unique("lines");
    // Ten bytes make a length that looks like a newline; 100 KiB come from the engine in seven pieces.
    have(&provider, &name, "head -c 102400 /dev/zero|tr '\\000' x>&2;echo>&2;echo 123456789>&2;echo>&2;printf '\\377z\\n'>&2").await;
    assert_eq!(provider.call(&name, "").await.0, 200);
    until("the last line", async || {
        provider
            .log_texts(&name, "")
            .await
            .iter()
            .any(|text| text.ends_with("\u{fffd}z"))
    })
    .await;
    let texts = provider.log_texts(&name, "").await;
    let longest = texts.iter().map(|text| text.matches('x').count()).max();
    assert_eq!(longest, Some(102_400));
    assert!(
        texts.iter().any(|text| text.ends_with("123456789")),
        "{texts:?}"
    );
}

#[tokio::test]
async fn lines_of_several_replicas_are_in_the_order_of_their_times() {
    let provider = Provider::start().await;
    let name = unique("order");
    have(&provider, &name, "echo called>&2").await;
    assert_eq!(provider.scale(&name, 3).await, accepted());
    provider.available(&name, 3).await;
    for _ in 0..30 {
        assert_eq!(provider.call(&name, "").await.0, 200);
    }
    let called = async || {
        let lines = provider.log_lines(&name, "").await;
        lines
            .into_iter()
            .filter(|line| line["text"].as_str().unwrap().contains("called"))
            .collect::<Vec<_>>()
    };
    until("all lines", async || called().await.len() == 30).await;
    let lines = called().await;
    let times: Vec<_> = lines
        .iter()
        .map(|line| line["timestamp"].as_str().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    let instances: std::collections::HashSet<_> = lines
        .iter()
        .map(|line| line["instance"].as_str().unwrap())
        .collect();
    assert_eq!(instances.len(), 3);

    let one = *instances.iter().next().unwrap();
    let of_one = provider.log_lines(&name, &format!("&instance={one}")).await;
    assert!(!of_one.is_empty() && of_one.iter().all(|line| line["instance"] == one));
    assert_eq!(provider.log_lines(&name, "&tail=1").await.len(), 3);
    assert!(
        provider
            .log_lines(&name, "&since=2099-01-01T00:00:00Z")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_followed_log_goes_on_until_the_function_is_gone() {
    let provider = Provider::start().await;
    let name = unique("follow");
    have(&provider, &name, "cat>&2").await;
    let url = format!("{}/system/logs?name={name}&follow=1", provider.url);
    let mut stream = provider.http.get(url).send().await.unwrap().bytes_stream();
    assert_eq!(provider.call(&name, "a line to come\n").await.0, 200);
    let mut seen = String::new();
    while !seen.contains("a line to come") {
        seen += std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap();
    }
    assert_eq!(provider.delete(&name).await, accepted());
    // It ends, and cleanly.
    while let Some(piece) = stream.next().await {
        piece.unwrap();
    }
}

/// Reads a log that is followed until it has `word`; how long that took.
async fn followed(provider: &Provider, name: &str, word: &str) -> Duration {
    let began = Instant::now();
    let url = format!("{}/system/logs?name={name}&follow=1", provider.url);
    let mut stream = provider.http.get(url).send().await.unwrap().bytes_stream();
    let mut seen = String::new();
    while !seen.contains(word) {
        seen += std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap();
    }
    began.elapsed()
}

#[tokio::test]
async fn a_followed_log_is_told_while_other_functions_change_all_the_time() {
    let provider = Provider::start().await;
    let (name, other) = (unique("heard"), unique("restless"));
    have(&provider, &name, "cat>&2").await;
    provider.have(&function(&other, "cat")).await;
    assert_eq!(provider.call(&name, "a line\n").await.0, 200);
    let restless = async {
        for replicas in [2, 1].into_iter().cycle() {
            let _ = provider.scale(&other, replicas).await;
        }
    };
    tokio::select! {
        took = followed(&provider, &name, "a line") => assert!(took < SOON, "{took:?}"),
        () = restless => {}
    }
}

#[tokio::test]
async fn a_followed_log_is_told_while_its_function_goes_on_writing() {
    let provider = Provider::start().await;
    let name = unique("chatty");
    have(&provider, &name, "cat>&2").await;
    let written = async {
        loop {
            assert_eq!(provider.call(&name, "tick\n").await.0, 200);
        }
    };
    tokio::select! {
        took = followed(&provider, &name, "tick") => assert!(took < SOON, "{took:?}"),
        () = written => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_hangs_up_frees_the_engine() {
    let proxy = FaultProxy::start();
    let provider = Provider::behind(&proxy, &[]).await;
    let name = unique("hangup");
    have(&provider, &name, "cat").await;
    let quiet = proxy.open();
    let url = format!("{}/system/logs?name={name}&follow=1", provider.url);
    let mut stream = provider.http.get(url).send().await.unwrap().bytes_stream();
    assert!(stream.next().await.is_some());
    until("the log's connection", async || proxy.open() > quiet).await;
    drop(stream);
    until("the engine to be left alone", async || {
        tokio::time::sleep(Duration::from_millis(20)).await;
        proxy.open() <= quiet
    })
    .await;
}
