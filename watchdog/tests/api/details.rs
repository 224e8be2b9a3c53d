//! `marshal_request`, `write_debug`, `debug_headers`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::{Watchdog, wait_until};

#[test]
fn a_request_can_be_marshalled_rows_55_56() {
    let watchdog = Watchdog::with("cat", &[("marshal_request", "true")]);
    let headers = ["X-B: 2", "X-A: 1", "X-A: 1b"];
    watchdog.call("POST", "/", &headers, b"<a&b>").is(
        200,
        r#"{"header":{"Content-Length":["5"],"X-A":["1","1b"],"X-B":["2"]},"body":{"raw":"PGEmYj4="}}"#,
    );
    let answer = watchdog.call("GET", "/", &["X-Q: <&>"], b"");
    answer.is(
        200,
        r#"{"header":{"X-Q":["\u003c\u0026\u003e"]},"body":{"raw":""}}"#,
    );
}

#[test]
fn a_large_request_can_be_marshalled() {
    let watchdog = Watchdog::with("cat", &[("marshal_request", "true")]);
    let body: Vec<u8> = (0..5_000_001u32).map(|n| (n % 255) as u8).collect();
    let answer = watchdog.post(&body);
    let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let raw = STANDARD
        .decode(json["body"]["raw"].as_str().unwrap())
        .unwrap();
    assert!(raw == body);
}

#[test]
fn write_debug_prints_what_happens_row_57() {
    let watchdog = Watchdog::with("cat", &[("write_debug", "true")]);
    let answer = watchdog.call("POST", "/p%0aq?q=1", &[], b"visible\n");
    answer.is(200, "visible\n");
    wait_until("the output is printed", || {
        watchdog.stdout().contains("visible")
    });
    assert_eq!(watchdog.wait_for_log("Query  "), "q=1");
    // A path cannot forge a line of the log.
    assert_eq!(watchdog.wait_for_log("Path  "), "/p\\nq");
    let duration = watchdog.wait_for_log(" Duration: ");
    assert!(duration.ends_with('s'), "{duration}");
    assert!(!watchdog.log().contains("Wrote"));
}

#[test]
fn write_debug_logs_a_failure_row_58() {
    let watchdog = Watchdog::script_with("printf boom; exit 1", &[("write_debug", "true")]);
    watchdog.get("/").is(500, "exit status 1\nboom");
    assert_eq!(
        watchdog.wait_for_log("Success=false, Error="),
        "exit status 1"
    );
    assert_eq!(watchdog.wait_for_log("Out="), "boom");
}

#[test]
fn debug_headers_prints_headers_row_60() {
    let watchdog = Watchdog::with("cat", &[("debug_headers", "true")]);
    watchdog
        .call("POST", "/", &["X-D: 1", "x-d: 2"], b"a")
        .is(200, "a");
    wait_until("headers are printed", || {
        let printed = watchdog.stdout();
        printed.contains("[in] X-D=[1 2]\n") && printed.contains("[out] X-Duration-Seconds=[0.")
    });
}
