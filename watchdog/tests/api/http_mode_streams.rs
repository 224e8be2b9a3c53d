//! Mode http: bodies pass piece by piece, connections may leave HTTP, and what breaks off does not look whole.

use crate::http_mode::{allow, http};
use crate::support::{Watchdog, wait_until};

/// Asserts that each of three pieces is there before the function makes the next.
fn arrives_in_pieces(watchdog: &Watchdog, target: &str, headers: &[&str]) {
    let mut caller = watchdog.connect();
    caller.send("GET", target, headers, b"");
    for number in 1..=3 {
        allow(watchdog, &format!("piece{number}"));
        caller.read_past(&format!("piece {number}\n"));
    }
    caller.read_past("0\r\n\r\n");
}

/// Differs on purpose: pieces were held back unless the request had a certain `Accept`.
#[test]
fn every_piece_is_sent_on_at_once_row_148_149_150_151() {
    for (target, header) in [
        ("/pieces", "X: y"),
        ("/pieces/sse", "Accept: text/event-stream"),
        ("/pieces/sse", "X: y"),
        ("/pieces", "Accept: Application/X-NDJSON, */*"),
    ] {
        arrives_in_pieces(&http(&[]), target, &[header]);
    }
}

#[test]
fn streams_have_no_duration_row_149() {
    let watchdog = http(&[]);
    (1..=3).for_each(|number| allow(&watchdog, &format!("piece{number}")));
    let stream = watchdog.call("GET", "/pieces/sse", &["Accept: text/event-stream"], b"");
    assert_eq!(stream.header("X-Duration-Seconds"), None);
    assert!(
        watchdog
            .get("/pieces")
            .header("X-Duration-Seconds")
            .is_some()
    );
}

/// Differs on purpose: the line said 200 and 0B whatever happened.
#[test]
fn a_stream_is_logged_as_it_was_row_202() {
    let watchdog = http(&[]);
    (1..=3).for_each(|number| allow(&watchdog, &format!("piece{number}")));
    let answer = watchdog.call(
        "GET",
        "/pieces/sse?code=404",
        &["Accept: text/event-stream"],
        b"",
    );
    assert_eq!(answer.status, 404);
    watchdog.wait_for_log("GET /pieces/sse?code=404 - 404 - Bytes: 24B (");
}

/// Differs on purpose: the first looked whole.
#[test]
fn an_answer_that_breaks_off_is_cut_row_155_156() {
    let watchdog = http(&[]);
    allow(&watchdog, "break");
    let mut caller = watchdog.connect();
    caller.send("GET", "/half", &[], b"");
    assert_eq!(caller.broken_answer(), (200, "half!".to_owned(), false));

    let mut caller = watchdog.connect();
    caller.send("GET", "/half/sized", &[], b"");
    caller.read_past("Content-Length: 100\r\n");
    caller.read_past("half!");
    assert!(caller.is_closed());
}

/// Differs on purpose: the answer looked complete.
#[test]
fn an_answer_over_exec_timeout_is_cut_row_162() {
    let watchdog = http(&[("exec_timeout", "700ms")]);
    allow(&watchdog, "piece1");
    let started = std::time::Instant::now();
    let mut caller = watchdog.connect();
    caller.send("GET", "/pieces", &[], b"");
    assert_eq!(caller.broken_answer(), (200, "piece 1\n".to_owned(), false));
    watchdog.wait_for_log("Error copying response body: not whole within exec_timeout=700ms");
    // Long before write_timeout, or the caller's own patience, would have cut it.
    assert!(started.elapsed() < std::time::Duration::from_secs(10));
}

#[test]
fn a_stream_may_outlast_exec_timeout_but_not_write_timeout_row_163_165() {
    let watchdog = http(&[("exec_timeout", "300ms"), ("write_timeout", "1500ms")]);
    allow(&watchdog, "piece1");
    let mut caller = watchdog.connect();
    caller.send("GET", "/pieces/sse", &["Accept: text/event-stream"], b"");
    caller.read_past("piece 1\n");
    let mut other = watchdog.connect();
    other.send("GET", "/slow", &[], b"");
    assert_eq!(other.answer().status, 504);
    allow(&watchdog, "piece2");
    caller.read_past("piece 2\n\r\n");
    wait_until("write_timeout is over", || {
        watchdog.get("/slow");
        std::fs::read_to_string(watchdog.path("began")).is_ok() && caller_is_late(&watchdog)
    });
    allow(&watchdog, "piece3");
    assert!(caller.is_closed());
}

/// Five calls of 300 ms each have passed since.
fn caller_is_late(watchdog: &Watchdog) -> bool {
    watchdog.log().matches("killed due to exec_timeout").count() >= 6
}

const ASK: &[u8] =
    b"GET /websocket HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[test]
fn a_websocket_passes_both_ways_row_168() {
    let watchdog = http(&[]);
    let mut caller = watchdog.connect();
    caller.write(ASK);
    caller.read_past("HTTP/1.1 101 Switching Protocols\r\n");
    caller.read_past("\r\n\r\n");
    for turn in ["one", "two"] {
        caller.write(turn.as_bytes());
        caller.read_past(turn);
    }
    caller.write(b"bye");
    caller.read_past("bye");
    assert!(caller.is_closed());
    watchdog.wait_for_log("GET /websocket - 101 - Bytes: 0B (");
}

/// Differs on purpose: another spelling hung.
#[test]
fn an_upgrade_is_recognised_however_it_is_written_row_171() {
    let watchdog = http(&[]);
    let mut caller = watchdog.connect();
    caller.write(b"GET /websocket HTTP/1.1\r\nhost: h\r\nconnection: keep-alive, UPGRADE\r\nupgrade: WebSocket\r\n\r\n");
    caller.read_past("Upgrade: websocket\r\n");
    caller.read_past("\r\n\r\n");
    caller.write(b"hello");
    caller.read_past("hello");
}

#[test]
fn a_websocket_has_no_timeouts_row_169() {
    let watchdog = http(&[
        ("read_timeout", "300ms"),
        ("write_timeout", "600ms"),
        ("exec_timeout", "200ms"),
    ]);
    let mut caller = watchdog.connect();
    caller.write(ASK);
    caller.read_past("\r\n\r\n");
    for _ in 0..5 {
        assert_eq!(watchdog.get("/slow").status, 504);
    }
    caller.write(b"still there?");
    caller.read_past("still there?");
}

/// Differs on purpose: the wish for HTTP/2 is not passed on; a tunnel of it would lead around every check.
#[test]
fn h2c_is_an_ordinary_request_row_170() {
    let headers = [
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: x",
    ];
    let seen = http(&[]).call("GET", "/dump", &headers, b"").text();
    assert!(
        seen.starts_with("GET /dump ") && !seen.contains("h2c"),
        "{seen}"
    );
}

#[test]
fn a_function_may_refuse_to_upgrade() {
    let watchdog = http(&[]);
    let answer = watchdog.call(
        "GET",
        "/websocket",
        &["Connection: upgrade", "Upgrade: other"],
        b"",
    );
    answer.is(426, "no");
    // Differs on purpose: the call hung.
    let answer = watchdog.get("/unasked");
    crate::http_mode::is_fault(&answer, 500);
}

/// Differs on purpose: data was lost when the function answered before it had read everything.
#[test]
fn a_function_may_answer_while_it_reads_row_172_173() {
    let watchdog = http(&[("upstream_url", "http://127.0.0.1:PORT/echo")]);
    for size in [0, 1 << 20, 50 << 20] {
        let body: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        assert!(
            watchdog.connect().echo(&body, size <= 1 << 20) == body,
            "{size}"
        );
    }
    let peak = watchdog.memory_kb("VmHWM");
    assert!(peak < 40_000, "{peak} kB");
}

#[test]
fn a_function_may_answer_before_it_reads_row_198() {
    let watchdog = http(&[]);
    for _ in 0..5 {
        watchdog
            .call("POST", "/too_large", &[], &vec![b'x'; 300_000])
            .is(413, "too large");
    }
}

#[test]
fn expectations_are_met_row_174() {
    let watchdog = http(&[]);
    let mut caller = watchdog.connect();
    caller.write(
        b"POST /dump HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
    );
    assert_eq!(caller.answer().status, 100);
    caller.write(b"hi");
    assert!(caller.answer().text().ends_with("\n\nhi"));
}

/// Ours, as everywhere: nobody works for nobody.
#[test]
fn a_caller_who_leaves_ends_the_call_in_the_function() {
    let watchdog = http(&[]);
    let mut caller = watchdog.connect();
    caller.send("GET", "/slow", &[], b"");
    wait_until("it runs", || watchdog.path("began").exists());
    drop(caller);
    wait_until("the function knows", || watchdog.path("left").exists());
    watchdog.wait_for_log("GET /slow - 499");
}

/// The end of its connection lies behind bytes that nobody reads.
#[test]
fn a_caller_who_leaves_in_an_upload_that_is_not_read_ends_the_call() {
    let watchdog = http(&[
        ("read_timeout", "90s"),
        ("write_timeout", "90s"),
        ("exec_timeout", "90s"),
    ]);
    let mut caller = watchdog.connect();
    caller.begin_upload("/deaf", 20_000_000);
    wait_until("it runs", || watchdog.path("began").exists());
    caller.reset();
    watchdog.wait_for_log("POST /deaf - 499");
}
