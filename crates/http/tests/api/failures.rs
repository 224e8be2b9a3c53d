//! Why a call got no answer, and when it goes to somebody else instead.

use faas_http::forward::Failure;

use crate::support::{Hop, Limits, Played, header, nobody};

const GET: &str = "GET / HTTP/1.1\r\nHost: f\r\nConnection: close\r\n\r\n";
const POST: &str =
    "POST / HTTP/1.1\r\nHost: f\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn an_upstream_that_refuses_is_502_without_its_address() {
    let address = nobody().await;
    let mut hop = Hop::start(&[address], Limits::default()).await;
    let answer = hop.call(POST).await.rest().await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(answer.ends_with("no replica can be reached"), "{answer}");
    match hop.failure().await {
        Failure::Unreachable { authority, reason } => {
            assert_eq!(authority, address.to_string());
            assert!(reason.contains("refused"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn without_upstreams_a_call_is_503() {
    let mut hop = Hop::start(&[], Limits::default()).await;
    let answer = hop.call(GET).await.rest().await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(matches!(hop.failure().await, Failure::NoUpstream));
}

#[tokio::test]
async fn an_upstream_that_answers_garbage_or_nothing_is_502() {
    for answer in [
        "",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ] {
        let upstream = Played::start().await;
        let mut hop = Hop::before(&upstream).await;
        let mut caller = hop.call(POST).await;
        let (mut replica, _) = upstream.request().await;
        replica.text(5).await;
        replica.send(answer).await;
        drop(replica);
        let seen = caller.rest().await;
        assert!(seen.starts_with("HTTP/1.1 502 "), "{answer:?}: {seen}");
        assert!(
            matches!(hop.failure().await, Failure::Broken { .. }),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_whose_headers_never_end_is_502() {
    let upstream = Played::start().await;
    let mut hop = Hop::before(&upstream).await;
    let mut caller = hop.call(GET).await;
    let (mut replica, _) = upstream.request().await;
    replica.send("HTTP/1.1 200 OK\r\n").await;
    let line = format!("X-Filler: {}\r\n", "x".repeat(60_000));
    let flood = tokio::spawn(async move {
        for _ in 0..20 {
            replica.offer(&line).await;
        }
    });
    let seen = caller.rest().await;
    assert!(seen.starts_with("HTTP/1.1 502 "), "{seen}");
    assert!(matches!(hop.failure().await, Failure::Broken { .. }));
    flood.abort();
}

#[tokio::test]
async fn one_who_refuses_is_passed_over_and_the_body_arrives_whole_elsewhere() {
    let upstream = Played::start().await;
    let hop = Hop::start(
        &[nobody().await, nobody().await, upstream.address],
        Limits::default(),
    )
    .await;
    for _ in 0..8 {
        let mut caller = hop.call(POST).await;
        let (mut replica, head) = upstream.request().await;
        assert_eq!(header(&head, "content-length"), Some("5"));
        assert_eq!(replica.text(5).await, "hello");
        replica.send(OK).await;
        assert!(caller.rest().await.ends_with("\r\n\r\nok"));
    }
}

#[tokio::test]
async fn when_all_refuse_the_call_ends() {
    let hop = Hop::start(
        &[nobody().await, nobody().await, nobody().await],
        Limits::default(),
    )
    .await;
    let answer = hop.call(POST).await.rest().await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert_eq!(hop.in_flight(), 0);
}

#[tokio::test]
async fn a_call_that_was_sent_is_never_sent_again() {
    let (first, second) = (Played::start().await, Played::start().await);
    let mut hop = Hop::start(&[first.address, second.address], Limits::default()).await;
    let mut caller = hop.call(POST).await;
    let (replica, _) = tokio::select! {
        taken = first.request() => taken,
        taken = second.request() => taken,
    };
    drop(replica);
    assert!(caller.rest().await.starts_with("HTTP/1.1 502 "));
    assert!(matches!(hop.failure().await, Failure::Broken { .. }));
}

/// A hop with one idle connection to the upstream, both as they are after a first call.
async fn idle(upstream: &Played, hop: &Hop) -> crate::support::Wire {
    let mut caller = hop.call(GET).await;
    let (mut replica, _) = upstream.request().await;
    replica.send(OK).await;
    assert!(caller.rest().await.ends_with("ok"));
    replica
}

#[tokio::test]
async fn a_get_survives_an_idle_connection_that_closes_under_it() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let mut stale = idle(&upstream, &hop).await;
    let mut caller = hop.call(GET).await;
    stale.head().await;
    drop(stale);
    let (mut replica, _) = upstream.request().await;
    replica.send(OK).await;
    assert!(caller.rest().await.ends_with("ok"));
}

#[tokio::test]
async fn a_post_that_an_idle_connection_took_along_is_not_repeated() {
    let upstream = Played::start().await;
    let mut hop = Hop::before(&upstream).await;
    let mut stale = idle(&upstream, &hop).await;
    let mut caller = hop
        .call("POST / HTTP/1.1\r\nHost: f\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        .await;
    stale.head().await;
    drop(stale);
    assert!(caller.rest().await.starts_with("HTTP/1.1 502 "));
    assert!(matches!(hop.failure().await, Failure::Broken { .. }));
}

#[tokio::test]
async fn a_get_whose_body_was_sent_is_not_repeated_without_it() {
    let upstream = Played::start().await;
    let mut hop = Hop::before(&upstream).await;
    let mut stale = idle(&upstream, &hop).await;
    let request = "GET / HTTP/1.1\r\nHost: f\r\nConnection: close\r\nContent-Length: 3\r\n\r\nask";
    let mut caller = hop.call(request).await;
    stale.head().await;
    assert_eq!(stale.text(3).await, "ask");
    drop(stale);
    assert!(caller.rest().await.starts_with("HTTP/1.1 502 "));
    assert!(matches!(hop.failure().await, Failure::Broken { .. }));
}

#[tokio::test]
async fn a_get_whose_own_connection_breaks_is_not_repeated() {
    let upstream = Played::start().await;
    let mut hop = Hop::before(&upstream).await;
    let mut caller = hop.call(GET).await;
    drop(upstream.request().await);
    assert!(caller.rest().await.starts_with("HTTP/1.1 502 "));
    assert!(matches!(hop.failure().await, Failure::Broken { .. }));
}

#[tokio::test]
async fn an_idle_connection_that_was_closed_meanwhile_troubles_nobody() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    for request in [GET, POST, GET] {
        let stale = idle(&upstream, &hop).await;
        drop(stale);
        let mut caller = hop.call(request).await;
        let (mut replica, _) = upstream.request().await;
        replica
            .send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
            .await;
        assert!(caller.rest().await.ends_with("ok"));
    }
}

#[tokio::test]
async fn connections_to_an_upstream_are_kept_and_used_again() {
    let upstream = Played::start().await;
    let hop = Hop::before(&upstream).await;
    let mut kept = idle(&upstream, &hop).await;
    for _ in 0..3 {
        let mut caller = hop.call(POST).await;
        kept.head().await;
        assert_eq!(kept.text(5).await, "hello");
        kept.send(OK).await;
        assert!(caller.rest().await.ends_with("ok"));
    }
}
