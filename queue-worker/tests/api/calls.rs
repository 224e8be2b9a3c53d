//! Calls as they are made, and made again.

use std::time::{Duration, SystemTime};

use faas_queue::{Queue, QueuedCall, State};

use crate::support::{Reply, Room, annotated, call};

#[tokio::test]
async fn a_call_is_made_as_it_was_stored() {
    let room = Room::start().await;
    let stored = QueuedCall {
        method: "PATCH".into(),
        path: "/a%2Fb//c%25%3F/./..".into(),
        query: Some("x=%20&y".into()),
        headers: vec![
            ("x-twice".into(), b"1".to_vec()),
            ("x-bytes".into(), vec![0xe9]),
            ("content-length".into(), b"999".to_vec()),
            ("x-callback-url".into(), b"http://sink/".to_vec()),
        ],
        ..call("f")
    };
    let id = room.accept(stored.clone()).await;
    room.succeeds(id).await;
    let seen = room.stage.seen("f").remove(0);
    assert_eq!(seen.method, "PATCH");
    assert_eq!(
        seen.target,
        "/function/f.openfaas-fn/a%2Fb//c%25%3F/./..?x=%20&y"
    );
    assert_eq!(seen.body, stored.body);
    for (name, value) in [
        ("x-twice", "1"),
        ("x-bytes", "\u{fffd}"),
        ("content-length", "6"),
        ("x-callback-url", "http://sink/"),
        ("x-call-id", "c-1"),
        ("x-invocation-id", &id.to_string()),
        ("x-forwarded-host", "gw.example:8080"),
        ("x-retry", "0"),
        ("x-retry-max", "10"),
    ] {
        assert_eq!(seen.headers[name], value, "{name}");
    }
}

#[tokio::test]
async fn a_function_that_fails_is_tried_at_growing_intervals_and_given_up() {
    let room = Room::with(|config| config.max_retry_attempts = 3).await;
    room.stage.always("f", Reply::status(500));
    let stored = QueuedCall {
        callback_url: Some(format!("{}/sink", room.stage.url())),
        ..call("f")
    };
    let id = room.accept(stored).await;
    let status = room.ended(id).await;
    assert_eq!((status.state, status.failures), (State::Dead, 4));
    let seen = room.stage.seen("f");
    let at = |number: usize| (seen[number].at - seen[0].at).as_millis();
    for (number, expected) in [(1, 100), (2, 300), (3, 700)] {
        let at = at(number);
        assert!(
            (expected..expected + 20_000).contains(&at),
            "{number}: {at}"
        );
    }
    let retries: Vec<_> = seen
        .iter()
        .map(|seen| seen.headers["x-retry"].clone())
        .collect();
    assert_eq!(retries, ["0", "1", "2", "3"]);
    let letters = room.dead().await;
    assert_eq!(
        (letters.len(), letters[0].reason.as_str()),
        (1, "retries_exhausted")
    );

    let callback = room.stage.sees("sink", 1).await.remove(0);
    for (name, value) in [
        ("x-function-status", "500"),
        ("x-retry", "3"),
        ("x-retry-max", "3"),
    ] {
        assert_eq!(callback.headers[name], value, "{name}");
    }
    room.balances().await;
}

#[tokio::test]
async fn a_function_that_fails_twice_succeeds_in_the_end() {
    let room = Room::start().await;
    room.stage.plays("f", [Reply::status(503), Reply::Broken]);
    let id = room.post("f").await;
    room.succeeds(id).await;
    assert_eq!(room.stage.seen("f").len(), 3);
    assert_eq!(room.status(id).await.failures, 2);
}

#[tokio::test]
async fn a_refusal_is_made_once_and_is_a_dead_letter() {
    let room = Room::start().await;
    room.stage.always("f", Reply::status(400));
    room.stage
        .always("gone", Reply::with(404, "x-openfaas-internal", "gateway"));
    for (function, reason) in [("f", "http_400"), ("gone", "function_not_found")] {
        let id = room.post(function).await;
        let status = room.ended(id).await;
        assert_eq!(status.reason.as_deref(), Some(reason));
        assert_eq!(room.stage.seen(function).len(), 1);
    }
}

#[tokio::test]
async fn the_platforms_own_errors_are_retried_whatever_the_codes_say() {
    let room = Room::with(|config| config.retry_http_codes.0 = [500].into()).await;
    let none = Reply::with(503, "x-openfaas-internal", "proxy");
    room.stage.plays("f", [none.clone(), none]);
    let id = room.post("f").await;
    room.succeeds(id).await;
}

#[tokio::test]
async fn retry_after_is_waited_for_and_garbage_is_not() {
    let room = Room::with(|config| config.limiter_enabled = false).await;
    let date = SystemTime::now() + Duration::from_secs(6);
    let date = httpdate::fmt_http_date(date);
    for (function, value, expected) in [
        ("seconds", "1", 1000..20_000),
        ("date", date.as_str(), 2000..20_000),
        ("less", "0", 100..20_000),
        ("garbage", "soon", 100..20_000),
    ] {
        room.stage
            .plays(function, [Reply::with(429, "retry-after", value)]);
        let id = room.post(function).await;
        room.succeeds(id).await;
        let seen = room.stage.seen(function);
        let after = (seen[1].at - seen[0].at).as_millis();
        assert!(expected.contains(&after), "{function}: {after}");
    }
}

#[tokio::test]
async fn annotations_replace_the_settings_and_odd_ones_do_not() {
    let room = Room::start().await;
    for function in ["f", "g", "odd"] {
        room.stage.always(function, Reply::status(418));
    }
    let own = annotated(
        "f",
        &[
            ("retry.attempts", "1"),
            ("retry.codes", "418"),
            ("retry.min_wait", "1ms"),
        ],
    );
    let odd = annotated(
        "odd",
        &[("retry.attempts", "many"), ("retry.codes", "418,x")],
    );
    for (stored, calls, reason) in [
        (own, 2, "retries_exhausted"),
        (call("g"), 1, "http_418"),
        (odd, 1, "http_418"),
    ] {
        let function = stored.called.clone();
        let id = room.accept(stored).await;
        let status = room.ended(id).await;
        assert_eq!(status.reason.as_deref(), Some(reason), "{function}");
        assert_eq!(room.stage.seen(&function).len(), calls, "{function}");
    }
}

#[tokio::test]
async fn a_functions_own_time_replaces_the_limit() {
    let room = Room::with(|config| {
        config.upstream_timeout = Duration::from_secs(3600);
        config.scale_from_zero_timeout = Duration::ZERO;
        config.max_retry_attempts = 0;
    })
    .await;
    // Five seconds of grace: the gateway's word comes first.
    room.stage.always("f", Reply::Hold);
    let id = room.accept(annotated("f", &[("timeout", "100ms")])).await;
    let status = room.ended(id).await;
    assert_eq!((status.state, status.last_status), (State::Dead, Some(504)));
}

#[tokio::test]
async fn an_answer_is_kept_up_to_a_length() {
    let room = Room::with(|config| config.max_response_bytes = 4).await;
    let stored = QueuedCall {
        keep_result: true,
        ..call("f")
    };
    room.stage.plays("f", [Reply::with(201, "x-answer", "1")]);
    let id = room.accept(stored).await;
    room.succeeds(id).await;
    let kept = room.queue.result(id).await.unwrap().unwrap();
    assert_eq!(
        (kept.status, &kept.body[..], kept.truncated),
        (201, &b"what"[..], true)
    );
    assert!(kept.headers.contains(&("x-answer".into(), b"1".to_vec())));
    assert!(
        !kept
            .headers
            .iter()
            .any(|(name, _)| name == "content-length")
    );
}
