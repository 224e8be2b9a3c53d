//! The page of metrics.

use std::collections::BTreeSet;

use crate::support::Api;

/// The labels of every series of the counter.
async fn counted(api: &Api) -> BTreeSet<String> {
    let page = api.get("/metrics").await;
    assert_eq!(
        page.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let series = page
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("provider_http_requests_total"));
    series.map(str::to_owned).collect()
}

#[tokio::test]
async fn requests_are_counted_and_timed_by_code_method_and_route() {
    let api = Api::start().await;
    api.deploy("echo").await;
    api.get("/system/function/echo").await;
    api.get("/system/function/echo").await;
    api.get("/system/function/none").await;
    let expected = [
        r#"{code="200",method="GET",path="/system/function/{name}"} 2"#,
        r#"{code="202",method="POST",path="/system/functions"} 1"#,
        r#"{code="404",method="GET",path="/system/function/{name}"} 1"#,
    ];
    assert_eq!(counted(&api).await, expected.map(str::to_owned).into());

    let page = api.get("/metrics").await.body;
    let timed = r#"provider_http_request_duration_seconds_count{code="202",method="POST",path="/system/functions"} 1"#;
    assert!(page.contains(timed), "{page}");
    for bucket in [
        "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf",
    ] {
        assert!(page.contains(&format!(",le=\"{bucket}\"}}")), "{bucket}");
    }
    assert!(page.contains("# TYPE provider_http_requests_total counter\n"));
    assert!(page.contains("# TYPE provider_http_request_duration_seconds histogram\n"));
}

#[tokio::test]
async fn refused_requests_are_counted_too() {
    let api = Api::guarded().await;
    api.get("/system/functions").await;
    let expected = r#"{code="401",method="GET",path="/system/functions"} 1"#;
    assert_eq!(counted(&api).await, [expected.to_owned()].into());
}

#[tokio::test]
async fn callers_cannot_make_series() {
    let api = Api::start().await;
    for n in 0..20 {
        api.get(&format!("/system/namespace/n{n}")).await;
        api.get(&format!("/system/function/f{n}")).await;
        api.send("POST", &format!("/system/scale-function/f{n}"), "{}")
            .await;
        api.get(&format!("/nowhere/{n}")).await;
        api.get(&format!("/function/f{n}/x")).await;
        api.send(&format!("METHOD{n}"), "/system/functions", "")
            .await;
        api.send(&format!("METHOD{n}"), "/function/f", "").await;
    }
    let series = counted(&api).await;
    assert!(series.len() <= 4, "{series:?}");
}

#[tokio::test]
async fn calls_health_and_the_page_itself_are_not_counted() {
    let api = Api::start().await;
    api.get("/healthz").await;
    api.get("/metrics").await;
    api.get("/function/none").await;
    assert_eq!(counted(&api).await, BTreeSet::new());
}
