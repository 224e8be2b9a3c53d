//! `max_inflight`.

use std::fs::write;

use crate::support::{Watchdog, wait_until};

/// Runs until the test writes the file `go`.
const HELD: &str =
    "echo x >> $TMPDIR/started; until [ -e $TMPDIR/go ]; do sleep 0.02; done; echo done";

#[test]
fn calls_over_the_limit_are_refused_row_65() {
    let watchdog = Watchdog::script_with(HELD, &[("max_inflight", "1")]);
    let mut first = watchdog.connect();
    first.send("GET", "/", &[], b"");
    wait_until("the first runs", || watchdog.path("started").exists());

    let answer = watchdog.get("/");
    answer.is(
        429,
        "Concurrent request limit exceeded. Max concurrent requests: 1\n",
    );
    assert_eq!(answer.header("Content-Type"), Some("text/plain"));
    assert_eq!(
        answer.header("X-Openfaas-Internal"),
        Some("faas-middleware")
    );
    assert_eq!(answer.header("Retry-After"), None);
    assert_eq!(watchdog.call("HEAD", "/", &[], b"").status, 429);
    watchdog.get("/_/ready").is(429, "");
    watchdog.get("/_/health").is(200, "OK");

    write(watchdog.path("go"), "").unwrap();
    first.answer().is(200, "done\n");
    watchdog.get("/").is(200, "done\n");
}

#[test]
fn a_limit_that_is_no_number_is_none_row_66() {
    let watchdog = Watchdog::script_with(HELD, &[("max_inflight", "abc")]);
    let mut both = [watchdog.connect(), watchdog.connect()];
    for caller in &mut both {
        caller.send("GET", "/", &[], b"");
    }
    wait_until("both run", || {
        std::fs::read_to_string(watchdog.path("started"))
            .is_ok_and(|text| text.lines().count() == 2)
    });
    write(watchdog.path("go"), "").unwrap();
    for caller in &mut both {
        caller.answer().is(200, "done\n");
    }
    watchdog.wait_for_log("Warning: max_inflight=\"abc\"");
}

#[test]
fn a_place_is_free_again_however_the_call_ended() {
    let variables = [("max_inflight", "1"), ("exec_timeout", "5s")];
    let watchdog = Watchdog::script_with(
        "case $Http_Path in /held) echo $$ > $TMPDIR/started; sleep 60;; /bad) exit 1;; esac",
        &variables,
    );
    watchdog.get("/bad").is(500, "exit status 1\n");
    watchdog.get("/").is(200, "");

    let mut caller = watchdog.connect();
    caller.send("GET", "/held", &[], b"");
    wait_until("it runs", || watchdog.path("started").exists());
    drop(caller);
    wait_until("the place is free", || watchdog.get("/").status == 200);

    let answer = watchdog.call("GET", "/held", &["X-Remaining-Ms: 100"], b"");
    assert_eq!(answer.status, 408);
    watchdog.get("/").is(200, "");
}
