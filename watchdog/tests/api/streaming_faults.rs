//! Mode streaming: failures. The original answered 200 to all of them; ours is 500 as long as nothing was sent, and
//! afterwards the connection is broken off, so that nobody takes a part for the whole.

use std::fs;

use crate::streaming::{script, streaming};
use crate::support::{TEXT, Watchdog, is_running, wait_until};

/// The status, what came, and whether that was all of it.
fn get(watchdog: &Watchdog) -> (u16, String, bool) {
    let mut caller = watchdog.connect();
    caller.send("GET", "/", &[], b"");
    caller.broken_answer()
}

/// Differs on purpose: the original ended the answer as if it were whole.
#[test]
fn a_failure_after_output_breaks_off_row_93() {
    let watchdog = script("echo out; exit 1");
    assert_eq!(get(&watchdog), (200, "out\n".to_owned(), false));
    watchdog.wait_for_log("exit status 1");
    watchdog.wait_for_log("GET / - 500 - ContentLength: 4B");
}

/// Differs on purpose: the original answered 200 and nothing.
#[test]
fn a_failure_without_output_is_told_row_94() {
    let watchdog = script("exit 1");
    let answer = watchdog.get("/");
    answer.is(500, "exit status 1\n");
    assert_eq!(answer.header("Content-Type"), Some(TEXT));
    assert_eq!(
        answer.header("X-Openfaas-Internal"),
        None,
        "it is the function's"
    );
    watchdog.call("HEAD", "/", &[], b"").is(500, "");
}

/// Differs on purpose: the original answered 200 and nothing.
#[test]
fn a_function_that_cannot_start_is_told_row_95() {
    for (program, words) in [
        (
            "no-such-program-xyz",
            "exec: \"no-such-program-xyz\": executable file not found in $PATH\n",
        ),
        (
            "/no/such/program",
            "fork/exec /no/such/program: no such file or directory\n",
        ),
    ] {
        let watchdog = streaming(program);
        let answer = watchdog.get("/");
        answer.is(500, words);
        assert_eq!(answer.header("X-Openfaas-Internal"), Some("of-watchdog"));
        // Also to a caller who is still sending.
        watchdog.post(vec![b'x'; 20 << 20]).is(500, words);
    }
}

/// Differs on purpose: the original answered 200 with what there was, killed the direct child alone, and waited.
#[test]
fn exec_timeout_kills_the_group_rows_96_97() {
    let variables = [("mode", "streaming"), ("exec_timeout", "300ms")];
    let text = "echo early\nsleep 60 &\necho $! > $TMPDIR/pid\nwait";
    let watchdog = Watchdog::script_with(text, &variables);
    assert_eq!(get(&watchdog), (200, "early\n".to_owned(), false));
    watchdog.wait_for_log("signal: killed");
    let pid = fs::read_to_string(watchdog.path("pid")).unwrap();
    wait_until("the grandchild is gone", || !is_running(&pid));

    let watchdog = Watchdog::with("sleep 60", &variables);
    watchdog.get("/").is(500, "signal: killed\n");
    wait_until("nothing is left", || watchdog.children().is_empty());
}

#[test]
fn the_callers_own_time_kills_it() {
    let watchdog = streaming("sleep 60");
    let answer = watchdog.call("GET", "/", &["X-Remaining-Ms: 200"], b"");
    answer.is(500, "signal: killed\n");
}

#[test]
fn exec_timeout_does_not_wait_for_a_caller_who_does_not_read() {
    let variables = [("mode", "streaming"), ("exec_timeout", "500ms")];
    let watchdog = Watchdog::with("cat /dev/zero", &variables);
    let mut caller = watchdog.connect();
    caller.send("GET", "/", &[], b"");
    wait_until("it runs", || !watchdog.children().is_empty());
    wait_until("it is killed", || watchdog.children().is_empty());
    drop(caller);
}

/// Differs on purpose: the original ended the answer as if it were whole.
#[test]
fn a_function_that_is_killed_breaks_off_row_104() {
    let watchdog = script("printf 'partial output'; kill -9 $$");
    assert_eq!(get(&watchdog), (200, "partial output".to_owned(), false));
    let watchdog = script("printf 'partial output'; exit 3");
    assert_eq!(get(&watchdog), (200, "partial output".to_owned(), false));
}

#[test]
fn write_timeout_closes_the_connection_row_117() {
    for mode in ["streaming", "serializing"] {
        let variables = [("mode", mode), ("write_timeout", "300ms")];
        let watchdog = Watchdog::with("sleep 60", &variables);
        let mut caller = watchdog.connect();
        caller.send("GET", "/", &[], b"");
        assert!(caller.is_closed());
        wait_until("nothing is left", || watchdog.children().is_empty());
    }
}

/// A function must never take a part of its input for all of it: it is killed before stdin is closed.
#[test]
fn an_upload_that_breaks_off_is_no_end_of_input() {
    let watchdog = script("cat > /dev/null; touch $TMPDIR/taken-for-whole");
    for _ in 0..50 {
        let mut caller = watchdog.connect();
        caller.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n0123456789");
        caller.half_close();
        let answer = caller.try_answer();
        assert!(answer.is_none_or(|answer| answer.status == 400));
    }
    wait_until("all are gone", || watchdog.children().is_empty());
    assert!(!watchdog.path("taken-for-whole").exists());
}

#[test]
fn an_upload_that_stalls_is_told() {
    let variables = [("mode", "streaming"), ("read_timeout", "300ms")];
    let watchdog = Watchdog::with("cat", &variables);
    let mut caller = watchdog.connect();
    caller.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n");
    let answer = caller.answer();
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().ends_with("i/o timeout\n"),
        "{}",
        answer.text()
    );
}

#[test]
fn a_caller_who_hangs_up_ends_the_function() {
    for before in ["", "echo begun;"] {
        let watchdog = script(&format!("{before} echo $$ > $TMPDIR/pid; sleep 60 & wait"));
        let mut caller = watchdog.connect();
        caller.send("GET", "/", &[], b"");
        wait_until("it runs", || {
            fs::read_to_string(watchdog.path("pid")).is_ok_and(|pid| pid.ends_with('\n'))
        });
        drop(caller);
        let pid = fs::read_to_string(watchdog.path("pid")).unwrap();
        wait_until("it is gone", || !is_running(&pid));
        watchdog.wait_for_log("GET / - 499");
    }
}

#[test]
fn a_caller_who_does_not_read_gives_its_place_back() {
    let variables = [
        ("mode", "streaming"),
        ("max_inflight", "1"),
        ("write_timeout", "500ms"),
    ];
    let watchdog = Watchdog::with("cat /dev/zero", &variables);
    let mut caller = watchdog.connect();
    caller.send("GET", "/", &[], b"");
    wait_until("it runs", || !watchdog.children().is_empty());
    wait_until("it is stopped", || watchdog.children().is_empty());
    wait_until("the place is free", || {
        watchdog.get("/_/ready").status == 200
    });
    assert!(watchdog.memory_kb("VmHWM:") < 20_000);
}
