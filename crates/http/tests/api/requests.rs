//! What an upstream sees of a request.

use crate::support::{Hop, Limits, Played, header};
use std::time::Duration;

/// The head that the upstream sees of a request with this target and these headers.
async fn seen(target: &str, headers: &str) -> String {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let _caller = hop
        .call(format!(
            "GET {target} HTTP/1.1\r\nHost: fn.example\r\n{headers}\r\n"
        ))
        .await;
    upstream.request().await.1
}

#[tokio::test]
async fn path_and_query_pass_byte_for_byte() {
    for target in [
        "/a%2Fb/%2e%2e/c",
        "//double//slash/",
        "/../up",
        "/%zz?%zz=%",
        "/?",
        "/a?",
        "/a?b?c&d=e+f%20g",
        "/%ff%00",
        "/a;b=c,d:e@f!$'()*",
        "/{x}|y^\"",
        "/ünï/✓?ü=✓",
    ] {
        let head = seen(target, "").await;
        assert_eq!(
            head.lines().next(),
            Some(format!("GET {target} HTTP/1.1").as_str())
        );
    }
}

#[tokio::test]
async fn a_path_that_is_no_utf_8_is_refused_before_anybody_sees_it() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let mut caller = hop.call(b"GET /\xff HTTP/1.1\r\nHost: f\r\n\r\n").await;
    assert!(caller.head().await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn the_absolute_form_is_understood() {
    let head = seen("http://other.example/a?b", "").await;
    assert!(head.starts_with("GET /a?b HTTP/1.1\r\n"), "{head}");
}

#[tokio::test]
async fn any_method_passes() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    for method in ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
        let _caller = hop
            .call(format!("{method} / HTTP/1.1\r\nHost: f\r\n\r\n"))
            .await;
        let (_, head) = upstream.request().await;
        assert!(head.starts_with(&format!("{method} / ")), "{head}");
    }
}

#[tokio::test]
async fn headers_of_one_connection_do_not_reach_the_next() {
    let head = seen(
        "/",
        "Connection: close, X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=9\r\nTE: gzip\r\n\
         Upgrade: h2c\r\nProxy-Connection: x\r\nProxy-Authorization: x\r\nAuthorization: Basic eA==\r\n",
    )
    .await;
    for gone in [
        "connection",
        "x-private",
        "keep-alive",
        "te",
        "upgrade",
        "proxy-connection",
        "proxy-authorization",
    ] {
        assert_eq!(header(&head, gone), None, "{gone}");
    }
    assert_eq!(header(&head, "authorization"), Some("Basic eA=="));
}

#[tokio::test]
async fn the_upstream_learns_who_called_and_whom() {
    let head = seen("/", "").await;
    assert_eq!(header(&head, "x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(header(&head, "x-forwarded-host"), Some("fn.example"));
    assert_eq!(header(&head, "x-forwarded-proto"), Some("http"));
    assert_ne!(header(&head, "host"), Some("fn.example"));

    let earlier =
        "X-Forwarded-For: 10.1.1.1\r\nX-Forwarded-Host: first\r\nX-Forwarded-Proto: https\r\n";
    let head = seen("/", earlier).await;
    assert_eq!(
        header(&head, "x-forwarded-for"),
        Some("10.1.1.1, 127.0.0.1")
    );
    assert_eq!(header(&head, "x-forwarded-host"), Some("first"));
    assert_eq!(header(&head, "x-forwarded-proto"), Some("https"));
}

#[tokio::test]
async fn nothing_is_added_that_nobody_said() {
    let head = seen("/", "").await;
    for absent in [
        "accept-encoding",
        "user-agent",
        "accept",
        "x-remaining-ms",
        "content-type",
    ] {
        assert_eq!(header(&head, absent), None, "{absent}");
    }
}

#[tokio::test]
async fn repeated_and_odd_header_values_pass() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let _caller = hop
        .call(b"GET / HTTP/1.1\r\nHost: f\r\nX-A: 1\r\nX-A: 2\r\nX-Empty:\r\nX-Raw: \xe9\r\n\r\n")
        .await;
    let (_, head) = upstream.request().await;
    assert_eq!(head.matches("X-A: ").count(), 2);
    assert!(
        head.contains("X-Empty: \r\n") && head.contains("X-Raw: \u{fffd}\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn the_remaining_time_is_lowered_and_never_raised() {
    let upstream = Played::start().await;
    let limits = Limits {
        answer: Some(Duration::from_secs(60)),
        ..Limits::default()
    };
    let hop = Hop::start(&[upstream.address], limits).await;
    for (said, most) in [
        ("5000", 5_000),
        ("9999999", 60_000),
        ("garbage", 60_000),
        ("-1", 60_000),
    ] {
        let _caller = hop
            .call(format!(
                "GET / HTTP/1.1\r\nHost: f\r\nX-Remaining-Ms: {said}\r\n\r\n"
            ))
            .await;
        let (_, head) = upstream.request().await;
        let left: u64 = header(&head, "x-remaining-ms").unwrap().parse().unwrap();
        assert!(left <= most && left > most / 2, "{said} became {left}");
    }
}

#[tokio::test]
async fn a_length_that_contradicts_chunks_does_not_reach_the_upstream() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let _caller = hop
        .call("POST / HTTP/1.1\r\nHost: f\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n")
        .await;
    let (mut replica, head) = upstream.request().await;
    assert_eq!(header(&head, "content-length"), None);
    assert_eq!(replica.chunk().await, "a");
}

#[tokio::test]
async fn a_caller_who_waits_for_100_continue_gets_it_from_us() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let mut caller = hop
        .call("POST / HTTP/1.1\r\nHost: f\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        .await;
    let (mut replica, head) = upstream.request().await;
    assert_eq!(header(&head, "expect"), None);
    assert_eq!(caller.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    caller.send("ok").await;
    assert_eq!(replica.text(2).await, "ok");
}
