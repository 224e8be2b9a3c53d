//! A web page must not deploy programs on the machine of whoever looks at it.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{Local, answer};

async fn asked(local: &Local, method: Method, header: (&str, &str)) -> (StatusCode, String) {
    let body = json!({"service": "evil", "image": "evil", "envProcess": "true"});
    let request = local.request(method, "/system/functions");
    answer(request.header(header.0, header.1).body(body.to_string())).await
}

#[tokio::test]
async fn a_page_from_elsewhere_can_change_nothing() {
    let local = Local::start().await;
    for header in [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
    ] {
        let (status, words) = asked(&local, Method::POST, header).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{header:?}: {words}");
        assert_eq!(words.lines().count(), 1, "{words}");
    }
    assert_eq!(local.json("/system/functions").await, json!([]));
}

#[tokio::test]
async fn a_name_that_points_here_from_the_world_is_refused() {
    let local = Local::start().await;
    let (status, words) = asked(&local, Method::GET, ("Host", "rebound.example:8080")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(words.contains("rebound.example"), "{words}");
    assert_eq!(
        asked(&local, Method::GET, ("Host", "localhost:8080"))
            .await
            .0,
        StatusCode::OK
    );
}

#[tokio::test]
async fn functions_are_behind_the_same_guard() {
    let local = Local::start().await;
    local.deploy("count", "wc -c").await;
    let call = |origin| {
        let request = local.request(Method::POST, "/function/count");
        answer(request.header("Origin", origin).body("hello"))
    };
    assert_eq!(call("http://evil.example").await.0, StatusCode::FORBIDDEN);
    let own = call("http://localhost:3000").await;
    assert_eq!(own, (StatusCode::OK, "5\n".to_owned()));
}
