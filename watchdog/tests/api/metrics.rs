//! The metrics page.

use crate::caller::Caller;
use crate::support::{Watchdog, free_port, wait_until};

fn page(port: u16) -> String {
    let mut caller = Caller::connect(port);
    caller.send("GET", "/metrics", &[], b"");
    caller.answer().text()
}

#[test]
fn other_modes_take_any_method_row_227() {
    let port = free_port();
    for mode in ["streaming", "serializing"] {
        let variables = [("metrics_port", &*port.to_string()), ("mode", mode)];
        let watchdog = Watchdog::with("cat", &variables);
        watchdog.call("FOO", "/", &[], b"").is(200, "");
        wait_until("the call is counted", || {
            page(port).contains("http_requests_total{code=\"200\",method=\"unknown\"} 1\n")
        });
    }
}

#[test]
fn calls_are_counted_rows_227_228() {
    let port = free_port();
    let variables = [("metrics_port", &*port.to_string()), ("max_inflight", "1")];
    let script = "[ $Http_Path != /held ] || { touch $TMPDIR/started; sleep 60; }";
    let watchdog = Watchdog::script_with(script, &variables);
    watchdog.wait_for_log(&format!("Metrics listening on port: {port}"));
    assert!(page(port).contains("\nhttp_requests_in_flight 0\n"));

    for _ in 0..3 {
        watchdog.post("x").is(200, "");
    }
    watchdog.call("FOO", "/", &[], b"").is(405, "");
    watchdog.get("/_/health").is(200, "OK");
    watchdog.get("/_/ready").is(200, "");
    wait_until("the calls are counted", || {
        let page = page(port);
        page.contains("http_requests_total{code=\"200\",method=\"post\"} 3\n")
            && page.contains("http_requests_total{code=\"405\",method=\"unknown\"} 1\n")
    });
    let text = page(port);
    assert!(
        !text.contains("method=\"get\""),
        "health is no call: {text}"
    );
    for bound in [
        "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf",
    ] {
        let series = format!(
            "http_request_duration_seconds_bucket{{code=\"200\",method=\"post\",le=\"{bound}\"}}"
        );
        assert!(text.contains(&series), "{series}");
    }
    assert!(text.contains("# HELP http_requests_total total HTTP requests processed\n"));
    assert!(text.contains("# HELP http_requests_in_flight total HTTP requests in-flight\n"));
    assert!(text.contains("\nprocess_resident_memory_bytes "));

    let mut held = watchdog.connect();
    held.send("GET", "/held", &[], b"");
    wait_until("it runs", || watchdog.path("started").exists());
    assert_eq!(watchdog.get("/").status, 429);
    wait_until("the refusal is counted", || {
        let page = page(port);
        page.contains("http_requests_total{code=\"429\",method=\"get\"} 1\n")
            && page.contains("\nhttp_requests_in_flight 1\n")
    });
    // Ours: a caller who hung up is 499; the original ran on for nobody.
    drop(held);
    wait_until("the hang-up is counted", || {
        page(port).contains("http_requests_total{code=\"499\",method=\"get\"} 1\n")
    });
}

#[test]
fn the_page_is_all_there_is_on_its_port() {
    let port = free_port();
    let _watchdog = Watchdog::with("cat", &[("metrics_port", &port.to_string())]);
    let mut caller = Caller::connect(port);
    caller.send("GET", "/other", &[], b"");
    caller.answer().is(404, "404 page not found\n");
    caller.send("DELETE", "/metrics", &[], b"");
    let answer = caller.answer();
    let format = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
    assert_eq!(
        (answer.status, answer.header("Content-Type")),
        (200, Some(format))
    );
    assert!(caller.is_closed(), "after half a second");
}
