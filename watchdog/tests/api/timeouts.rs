//! Every clock: the function's, the caller's, the server's.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::{TEXT, Watchdog, is_running, wait_until};

fn took(act: impl FnOnce()) -> Duration {
    let started = Instant::now();
    act();
    started.elapsed()
}

#[test]
fn a_function_that_takes_too_long_is_killed_rows_39_40() {
    for value in ["1s", "1"] {
        let watchdog = Watchdog::with("sleep 5", &[("exec_timeout", value)]);
        let time = took(|| {
            let answer = watchdog.get("/");
            answer.is(408, "Killed process.\n");
            assert_eq!(answer.header("Content-Type"), Some(TEXT));
            assert_eq!(answer.header("X-Duration-Seconds"), None);
            assert_eq!(answer.header("X-Openfaas-Internal"), Some("of-watchdog"));
        });
        assert!(
            time.as_millis() >= 1000 && time.as_millis() < 3000,
            "{time:?}"
        );
        watchdog.wait_for_log("Killing process: sleep 5");
    }
    let script = "echo early; exec sleep 5";
    let watchdog = Watchdog::script_with(script, &[("exec_timeout", "300ms")]);
    watchdog.get("/").is(408, "Killed process.\n");
}

/// Differs on purpose: the original killed the child only and answered after three seconds.
#[test]
fn grandchildren_are_killed_on_time_row_41() {
    let script = "echo $$ > $TMPDIR/pids; sleep 60 & echo $! >> $TMPDIR/pids; sleep 60";
    let watchdog = Watchdog::script_with(script, &[("exec_timeout", "500ms")]);
    let time = took(|| watchdog.get("/").is(408, "Killed process.\n"));
    assert!(time.as_millis() < 2500, "{time:?}");
    let pids = fs::read_to_string(watchdog.path("pids")).unwrap();
    for pid in pids.lines() {
        wait_until("the group is gone", || !is_running(pid));
    }
}

/// The text is contract, the moment is; what the process had logged is not lost.
#[test]
fn stderr_of_a_killed_function_is_logged() {
    let watchdog = Watchdog::script_with(
        "echo reason >&2; exec sleep 5",
        &[("exec_timeout", "300ms"), ("combine_output", "false")],
    );
    watchdog.get("/").is(408, "Killed process.\n");
    assert_eq!(watchdog.wait_for_log("stderr: "), "reason");
}

/// Differs on purpose: the process is stopped too, as nobody can get its answer any more.
#[test]
fn a_late_answer_is_a_closed_connection_row_43() {
    let script = "echo $$ > $TMPDIR/pid; sleep 60";
    let watchdog = Watchdog::script_with(script, &[("write_timeout", "1s")]);
    let mut caller = watchdog.connect();
    let time = took(|| {
        caller.send("GET", "/", &[], b"");
        assert!(caller.try_answer().is_none());
    });
    assert!(
        time.as_millis() >= 900 && time.as_millis() < 3000,
        "{time:?}"
    );
    let pid = fs::read_to_string(watchdog.path("pid")).unwrap();
    wait_until("the process is stopped", || !is_running(&pid));
}

#[test]
fn a_caller_that_does_not_read_is_cut_off() {
    let watchdog = Watchdog::with("head -c 50000000 /dev/zero", &[("write_timeout", "2s")]);
    let idle = watchdog.warm_up();
    let mut caller = watchdog.connect();
    caller.send("GET", "/", &[], b"");
    watchdog.wait_for_log("Wrote 50000000 Bytes");
    wait_until("connection and file are closed", || {
        watchdog.descriptors() <= idle
    });
}

#[test]
fn a_stalled_upload_is_told_row_44() {
    let watchdog = Watchdog::with("cat", &[("read_timeout", "1s")]);
    let mut caller = watchdog.connect();
    let time = took(|| {
        caller.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n0123456789");
        let answer = caller.answer();
        assert_eq!(answer.status, 400);
        let text = answer.text();
        assert!(text.starts_with(&format!("read tcp 127.0.0.1:{}->127.0.0.1:", watchdog.port)));
        assert!(text.ends_with(": i/o timeout\n"), "{text}");
        assert_eq!(answer.header("Connection"), Some("close"));
    });
    assert!(
        time.as_millis() >= 1000 && time.as_millis() < 3000,
        "{time:?}"
    );
    assert!(caller.is_closed());
    assert!(watchdog.children().is_empty());
}

#[test]
fn a_broken_upload_is_told_row_45() {
    let watchdog = Watchdog::script("touch $TMPDIR/forked; cat");
    let mut caller = watchdog.connect();
    caller.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n0123456789");
    caller.half_close();
    let answer = caller.answer();
    answer.is(400, "unexpected EOF\n");
    assert_eq!(answer.header("Content-Type"), Some(TEXT));
    watchdog.wait_for_log("Error=unexpected EOF, ReadLen=10");
    assert!(!watchdog.path("forked").exists());
}

#[test]
fn idle_connections_are_closed_row_46() {
    let watchdog = Watchdog::with("cat", &[("read_timeout", "500ms")]);
    let mut caller = watchdog.connect();
    caller.send("POST", "/", &[], b"a");
    caller.answer().is(200, "a");
    let time = took(|| assert!(caller.is_closed()));
    assert!(
        time.as_millis() >= 300 && time.as_millis() < 3000,
        "{time:?}"
    );
}

#[test]
fn half_a_head_is_not_waited_for() {
    let watchdog = Watchdog::with("cat", &[("read_timeout", "300ms")]);
    let mut caller = watchdog.connect();
    caller.write(b"GET / HTTP/1.1\r\nHos");
    assert!(
        caller
            .try_answer()
            .is_none_or(|answer| answer.status == 408)
    );
}

#[test]
fn a_function_may_run_longer_than_a_request_may_take_to_read() {
    let watchdog = Watchdog::with("sleep 1", &[("read_timeout", "200ms")]);
    watchdog.post("x").is(200, "");
}

#[test]
fn x_timeout_means_nothing_row_80() {
    let answer = Watchdog::with("sleep 0.5", &[]).call("GET", "/", &["X-Timeout: 100ms"], b"");
    answer.is(200, "");
}

#[test]
fn negative_timeouts_are_none_row_82() {
    let watchdog = Watchdog::with(
        "cat",
        &[
            ("write_timeout", "-1s"),
            ("exec_timeout", "-1s"),
            ("healthcheck_interval", ""),
        ],
    );
    let line = watchdog.wait_for_log("Timeouts: ");
    assert_eq!(line, "read: 30s write: -1s hard: -1s health: -1s.");
    watchdog.post("a").is(200, "a");
}

#[test]
fn the_remaining_time_stops_the_function() {
    let script = "echo $$ > $TMPDIR/pid; sleep 60";
    let watchdog = Watchdog::script_with(script, &[("exec_timeout", "10s")]);
    let time = took(|| {
        let answer = watchdog.call("GET", "/", &["X-Remaining-Ms: 400"], b"");
        answer.is(408, "Killed process.\n");
    });
    assert!(
        time.as_millis() >= 400 && time.as_millis() < 2500,
        "{time:?}"
    );
    let pid = fs::read_to_string(watchdog.path("pid")).unwrap();
    wait_until("the process is stopped", || !is_running(&pid));
}

#[test]
fn the_remaining_time_never_lengthens_the_limit() {
    let watchdog = Watchdog::with("sleep 60", &[("exec_timeout", "300ms")]);
    for remaining in [
        "X-Remaining-Ms: 20000",
        "X-Remaining-Ms: soon",
        "X-Remaining-Ms: -1",
    ] {
        watchdog
            .call("GET", "/", &[remaining], b"")
            .is(408, "Killed process.\n");
    }
}

#[test]
fn time_that_has_run_out_starts_nothing() {
    let watchdog = Watchdog::script("touch $TMPDIR/forked");
    let answer = watchdog.call("GET", "/", &["X-Remaining-Ms: 0"], b"");
    answer.is(408, "Killed process.\n");
    assert!(!watchdog.path("forked").exists());
}
