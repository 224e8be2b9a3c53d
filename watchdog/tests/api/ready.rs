//! Readiness in the modes of the other program, and the function's own word on it.

use std::fs;

use crate::support::{Watchdog, program, wait_until};

#[test]
fn readiness_is_asked_with_get_row_125() {
    let watchdog = Watchdog::with("cat", &[("mode", "streaming")]);
    watchdog.get("/_/ready").is(200, "");
    watchdog.call("POST", "/_/ready", &[], b"").is(405, "");
    watchdog.call("HEAD", "/_/ready", &[], b"").is(405, "");
}

#[test]
fn the_lock_file_decides_row_126() {
    let variables = [("mode", "serializing"), ("ready_path", "/r")];
    let watchdog = Watchdog::with("printf fn", &variables);
    fs::remove_file(watchdog.lock_file()).unwrap();
    watchdog.get("/_/ready").is(503, "");
    watchdog.get("/_/health").is(503, "");
}

#[test]
fn a_function_without_a_place_is_not_ready_row_127() {
    let variables = [
        ("mode", "serializing"),
        ("max_inflight", "1"),
        ("ready_path", "/r"),
    ];
    let watchdog = Watchdog::with("cat", &variables);
    let mut caller = watchdog.connect();
    caller.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\na");
    wait_until("the place is taken", || {
        watchdog.get("/_/ready").status == 429
    });
    let answer = watchdog.get("/_/ready");
    answer.is(429, "");
    assert_eq!(answer.header("X-Openfaas-Internal"), None);
    watchdog.get("/_/health").is(200, "OK");
    let answer = watchdog.get("/");
    answer.is(
        429,
        "Concurrent request limit exceeded. Max concurrent requests: 1\n",
    );
    assert_eq!(
        answer.header("X-Openfaas-Internal"),
        Some("faas-middleware")
    );
    caller.write(b"b");
    caller.answer().is(200, "ab");
    wait_until("the place is free", || {
        watchdog.get("/_/ready").status == 200
    });
}

#[test]
fn the_function_is_asked_row_128() {
    for mode in ["classic", "streaming", "serializing"] {
        let variables = [("mode", mode), ("ready_path", "/custom/ready")];
        let text = "printf '%s %s %s' $Http_Method $Http_Path$Http_Query $Http_X_R";
        let watchdog = Watchdog::script_with(text, &variables);
        let answer = watchdog.call("GET", "/_/ready?x=1", &["X-R: 1"], b"");
        answer.is(200, "GET /custom/ready 1");
    }
}

/// Differs on purpose in mode streaming, where the original could only say yes.
#[test]
fn the_function_may_say_no_row_129() {
    for mode in ["classic", "streaming", "serializing"] {
        let watchdog = Watchdog::with("false", &[("mode", mode), ("ready_path", "r")]);
        assert_eq!(watchdog.get("/_/ready").status, 500, "{mode}");
    }
}

#[test]
fn asking_is_no_call() {
    let variables = [
        ("mode", "serializing"),
        ("ready_path", "/r"),
        ("metrics_port", "0"),
    ];
    let watchdog = Watchdog::with("printf fn", &variables);
    let probe = ["User-Agent: kube-probe/1.29"];
    watchdog.call("GET", "/_/ready", &probe, b"").is(200, "fn");
    assert!(!watchdog.log().contains("GET /r"));
}

#[test]
fn the_directory_of_the_lock_file_is_made_row_130() {
    let directory = tempfile::tempdir().unwrap();
    fs::remove_dir(directory.path()).unwrap();
    // Ends only once the lock file is there.
    let watchdog = Watchdog::launch(program(), directory, "cat", &[("mode", "streaming")]);
    watchdog.get("/_/health").is(200, "OK");
}

/// Differs on purpose: without a lock file the original was ill for ever.
#[test]
fn a_suppressed_lock_file_is_no_illness_row_131() {
    for yes in ["true", "1"] {
        let variables = [("mode", "streaming"), ("suppress_lock", yes)];
        let watchdog = Watchdog::with("printf fn", &variables);
        watchdog.get("/_/health").is(200, "OK");
        watchdog.get("/_/ready").is(200, "");
        watchdog.get("/").is(200, "fn");
        assert!(!watchdog.lock_file().exists());
    }
}
