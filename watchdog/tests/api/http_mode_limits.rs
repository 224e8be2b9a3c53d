//! Mode http: limits, and what callers see when the function does not answer.

use std::time::{Duration, Instant};

use crate::http_mode::{allow, http, is_fault, is_late, starting};
use crate::support::{Watchdog, wait_until};

#[test]
fn a_function_that_hangs_up_or_talks_nonsense_is_500_row_154() {
    let watchdog = http(&[]);
    for target in ["/hang_up", "/garbage", "/many_headers"] {
        is_fault(&watchdog.get(target), 500);
    }
    watchdog.wait_for_log("Upstream HTTP request error: ");
    watchdog.get("/status/200").is(200, "200");
}

#[test]
fn a_caller_who_is_still_sending_gets_the_answer_all_the_same() {
    let watchdog = http(&[]);
    for _ in 0..5 {
        let answer = watchdog.call("POST", "/hang_up", &[], &vec![b'x'; 8 << 20]);
        is_fault(&answer, 500);
    }
}

/// How long a call of a function took that never answers; which limit is said to have ended it.
fn timed(watchdog: &Watchdog, headers: &[&str], limit: &str) -> Duration {
    let started = Instant::now();
    let answer = watchdog.call("GET", "/slow", headers, b"");
    is_late(&answer, 504, &format!("no answer within {limit}\n"));
    started.elapsed()
}

/// Differs on purpose: the answer names the limit that was hit, and so does the log; the original's said nothing, and
/// its log always blamed `exec_timeout`.
#[test]
fn an_answer_that_does_not_begin_in_time_is_504_row_157_158_159() {
    let watchdog = http(&[("exec_timeout", "1s")]);
    let second = Duration::from_millis(950)..Duration::from_secs(10);
    let exec_timeout = "exec_timeout=1s";
    assert!(second.contains(&timed(&watchdog, &[], exec_timeout)));
    watchdog.wait_for_log("Upstream HTTP killed due to exec_timeout: 1s");
    for ignored in ["X-Timeout: 10s", "X-Timeout: 1", "X-Timeout: soon"] {
        let time = timed(&watchdog, &[ignored], exec_timeout);
        assert!(second.contains(&time), "{ignored}");
    }
    let watchdog = http(&[("exec_timeout", "60s")]);
    for shorter in ["X-Timeout: 200ms", "X-Remaining-Ms: 200"] {
        let time = timed(&watchdog, &[shorter], &shorter.replace(": ", "="));
        assert!(time < Duration::from_secs(15), "{shorter}");
        watchdog.wait_for_log(&format!("Upstream HTTP killed due to {shorter}"));
    }
    assert!(!watchdog.log().contains("due to exec_timeout"));
    wait_until("the function knows", || watchdog.path("left").exists());
}

/// Differs on purpose: the caller could switch the limit off.
#[test]
fn a_caller_cannot_lift_the_limit_row_160() {
    let watchdog = http(&[("exec_timeout", "300ms")]);
    for said in ["X-Timeout: 0s", "X-Timeout: -1s", "X-Remaining-Ms: 90000"] {
        timed(&watchdog, &[said], "exec_timeout=300ms");
    }
}

/// Differs on purpose in the second: a negative limit is none, as everywhere; every call failed.
#[test]
fn without_a_limit_none_can_be_asked_for_row_161_201() {
    for limit in ["0", "-1s"] {
        let watchdog = http(&[("exec_timeout", limit)]);
        let mut caller = watchdog.connect();
        caller.send("GET", "/slow", &["X-Timeout: 50ms"], b"");
        wait_until("it runs", || watchdog.path("began").exists());
        let other = http(&[("exec_timeout", "300ms")]);
        timed(&other, &[], "exec_timeout=300ms");
        allow(&watchdog, "go");
        caller.answer().is(200, "done");
    }
}

#[test]
fn the_function_is_told_what_is_left() {
    let watchdog = http(&[("exec_timeout", "5s")]);
    let left = |headers: &[&str]| {
        let seen = watchdog.call("GET", "/dump", headers, b"").text();
        let (_, rest) = seen.split_once("X-Remaining-Ms: ").unwrap();
        rest.split_once("\r\n").unwrap().0.parse::<u64>().unwrap()
    };
    assert!((1..=5000).contains(&left(&[])));
    assert!((1..=2000).contains(&left(&["X-Remaining-Ms: 2000"])));
    assert!((1..=5000).contains(&left(&["X-Remaining-Ms: 90000"])));
}

#[test]
fn an_answer_after_write_timeout_is_none_row_164() {
    let watchdog = http(&[("write_timeout", "500ms")]);
    let mut caller = watchdog.connect();
    caller.send("GET", "/slow", &[], b"");
    assert!(caller.try_answer().is_none());
}

/// Differs on purpose: the original answered 200 and nothing to some, and 500 at once to others.
#[test]
fn a_function_that_never_listens_is_waited_for_no_longer_than_the_limit_row_167() {
    let watchdog = starting(&[("START_LATE", "1"), ("exec_timeout", "300ms")]);
    for headers in [
        &["X: y"][..],
        &["Accept: text/event-stream"],
        &["Connection: upgrade", "Upgrade: websocket"],
    ] {
        let answer = watchdog.call("GET", "/dump", headers, b"");
        answer.is(504, "no answer within exec_timeout=300ms\n");
        assert_eq!(answer.header("X-Openfaas-Internal"), Some("of-watchdog"));
        watchdog.get("/_/ready").is(503, "");
    }
}

fn take_the_place(watchdog: &Watchdog) -> crate::caller::Caller {
    let mut caller = watchdog.connect();
    caller.send("GET", "/slow", &[], b"");
    wait_until("it runs", || watchdog.path("began").exists());
    caller
}

#[test]
fn there_are_no_more_calls_than_places_row_190() {
    let watchdog = http(&[("max_inflight", "1")]);
    let mut running = take_the_place(&watchdog);
    let refused = watchdog.get("/dump");
    refused.is(
        429,
        "Concurrent request limit exceeded. Max concurrent requests: 1\n",
    );
    assert_eq!(
        refused.header("X-Openfaas-Internal"),
        Some("faas-middleware")
    );
    watchdog.get("/_/ready").is(429, "");
    allow(&watchdog, "go");
    running.answer().is(200, "done");
}

/// Differs on purpose in the first: the place was lost for ever.
#[test]
fn a_place_is_free_again_however_a_call_ends_row_191_192() {
    let watchdog = http(&[("max_inflight", "1"), ("exec_timeout", "5s")]);
    let free = || wait_until("the place is free", || watchdog.get("/dump").status == 200);
    allow(&watchdog, "break");
    for _ in 0..3 {
        let mut caller = watchdog.connect();
        caller.send("GET", "/half", &["Accept: text/event-stream"], b"");
        assert!(!caller.broken_answer().2);
        free();
    }
    for target in ["/hang_up", "/garbage"] {
        is_fault(&watchdog.get(target), 500);
        free();
    }
    timed(&watchdog, &["X-Timeout: 50ms"], "X-Timeout=50ms");
    free();
    drop(take_the_place(&watchdog));
    free();
}

#[test]
fn a_websocket_has_a_place_until_it_closes_row_193() {
    let watchdog = http(&[("max_inflight", "1")]);
    let mut caller = watchdog.connect();
    caller.write(
        b"GET /websocket HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    caller.read_past("\r\n\r\n");
    assert_eq!(watchdog.get("/dump").status, 429);
    drop(caller);
    wait_until("the place is free", || watchdog.get("/dump").status == 200);
}

#[test]
fn readiness_is_the_functions_own_word_row_194_195() {
    let watchdog = http(&[("ready_path", "/dump/ready")]);
    let seen = watchdog
        .call("GET", "/_/ready?z=1", &["X-R: 1"], b"")
        .text();
    assert!(seen.starts_with("GET /dump/ready HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("\r\nX-R: 1\r\n"), "{seen}");
    let watchdog = starting(&[("ready_path", "/status/418")]);
    wait_until("the function is asked", || {
        watchdog.get("/_/ready").status == 418
    });
}

/// Differs on purpose: the original broke the connection.
#[test]
fn readiness_and_buffering_get_along_row_196() {
    let watchdog = http(&[
        ("ready_path", "/dump/ready"),
        ("http_buffer_req_body", "true"),
    ]);
    assert_eq!(watchdog.get("/_/ready").status, 200);
}

/// Differs on purpose: the answer names the limit; the original's said nothing.
#[test]
fn an_upload_that_stalls_is_504_row_199() {
    for variables in [
        &[("read_timeout", "500ms")][..],
        &[("read_timeout", "500ms"), ("http_buffer_req_body", "true")],
    ] {
        let watchdog = http(variables);
        let mut caller = watchdog.connect();
        caller.write(b"POST /dump HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n0123456789");
        let answer = caller.answer();
        let words = "no whole request body within read_timeout=500ms\n";
        is_late(&answer, 504, words);
        assert_eq!(answer.header("Connection"), Some("close"));
    }
}

/// Half a body is never passed off as a whole one.
#[test]
fn a_caller_who_stops_in_the_middle_is_told_so() {
    let watchdog = http(&[]);
    let mut caller = watchdog.connect();
    caller.write(b"POST /dump HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n0123456789");
    caller.half_close();
    assert_ne!(caller.try_answer().map(|answer| answer.status), Some(200));
}
