//! Functions and callers at their worst, in every mode where it makes a difference.

use nix::sys::signal::Signal;

use crate::http_mode::{allow, http};
use crate::http_mode_process::{function, signal_function};
use crate::support::{Watchdog, is_running, wait_until};

const FORKED: [&str; 3] = ["classic", "streaming", "serializing"];

#[test]
fn a_caller_with_100_000_headers_is_refused() {
    let watchdog = Watchdog::start("cat");
    let mut request = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n".to_owned();
    // Fewer bytes than are allowed.
    (0..100_000).for_each(|_| request.push_str("a:b\r\n"));
    assert!(request.len() < 1 << 20);
    request.push_str("\r\nx");
    assert_eq!(watchdog.raw(request).status, 431);
    assert!(!watchdog.log().contains("Forking"));
    watchdog.post("a").is(200, "a");
    assert!(watchdog.memory_kb("VmHWM:") < 30_000);
}

#[test]
fn a_function_that_stops_speaking_http_is_cut_off() {
    let watchdog = http(&[]);
    let mut caller = watchdog.connect();
    caller.send("GET", "/bad_chunk", &[], b"");
    assert_eq!(caller.broken_answer(), (200, "half!".to_owned(), false));
    watchdog.get("/status/200").is(200, "200");
}

/// Not only the connection: the process itself.
#[test]
fn a_function_that_crashes_in_its_answer_is_cut_off() {
    for target in ["/half", "/half/sized"] {
        let mut watchdog = http(&[]);
        let mut caller = watchdog.connect();
        caller.send("GET", target, &[], b"");
        caller.read_past("half!");
        signal_function(&watchdog, Signal::SIGKILL);
        if target == "/half" {
            caller.read_past("\r\n");
        }
        assert!(caller.is_closed(), "no clean end");
        assert_eq!(watchdog.wait().code(), Some(1));
    }
}

/// The connection is cut, the place is free, and nothing works on for a caller who does not take it.
#[test]
fn a_caller_who_never_reads_is_cut_off_in_every_mode() {
    let limits = [("max_inflight", "1"), ("write_timeout", "1s")];
    for mode in FORKED {
        let variables = [&limits[..], &[("mode", mode), ("exec_timeout", "60s")]].concat();
        let watchdog = Watchdog::with("head -c 20000000 /dev/zero", &variables);
        let idle = watchdog.warm_up();
        let mut caller = watchdog.connect();
        caller.send("GET", "/", &[], b"");
        wait_until("the place is taken", || {
            watchdog.get("/_/ready").status == 429
        });
        gives_its_place_back(&watchdog);
        wait_until("nothing runs", || watchdog.children().is_empty());
        wait_until("connection and file are closed", || {
            watchdog.descriptors() <= idle
        });
        drop(caller);
    }
    let watchdog = http(&limits);
    let mut caller = watchdog.connect();
    caller.send("GET", "/endless", &[], b"");
    wait_until("the place is taken", || {
        watchdog.get("/_/ready").status == 429
    });
    gives_its_place_back(&watchdog);
    wait_until("the function knows", || watchdog.path("left").exists());
    drop(caller);
}

fn gives_its_place_back(watchdog: &Watchdog) {
    wait_until("the place is free", || {
        watchdog.get("/_/ready").status == 200
    });
}

#[test]
fn half_a_body_and_silence_starts_nothing_that_stays() {
    for (mode, status) in [("classic", 400), ("streaming", 400), ("serializing", 500)] {
        let variables = [
            ("mode", mode),
            ("read_timeout", "500ms"),
            ("max_inflight", "1"),
        ];
        let watchdog = Watchdog::with("cat", &variables);
        let mut caller = watchdog.connect();
        caller.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n");
        if mode != "streaming" {
            // What comes back of it there is an answer that breaks off.
            caller.write(b"0123456789");
        }
        let answer = caller.answer();
        assert_eq!(answer.status, status, "{mode}");
        let words = answer.text();
        assert!(words.trim_end().ends_with("i/o timeout"), "{mode}: {words}");
        gives_its_place_back(&watchdog);
        wait_until("nothing runs", || watchdog.children().is_empty());
    }
}

#[test]
fn a_process_that_ignores_sigterm_ends_in_time() {
    for (mode, status, words) in [
        ("classic", 408, "Killed process.\n"),
        ("streaming", 500, "signal: killed\n"),
        ("serializing", 500, "signal: killed"),
    ] {
        let script = "trap '' TERM HUP INT; echo $$ > $TMPDIR/pid; sleep 60 & wait; sleep 60";
        let variables = [("mode", mode), ("exec_timeout", "500ms")];
        let watchdog = Watchdog::script_with(script, &variables);
        watchdog.get("/").is(status, words);
        let pid = std::fs::read_to_string(watchdog.path("pid")).unwrap();
        wait_until("it is gone", || !is_running(&pid));
        wait_until("it is reaped", || watchdog.children().is_empty());
    }
}

/// A daemon has a session of its own, so that no signal to the group reaches it; the pipes it holds are let go.
#[test]
fn a_daemon_that_holds_the_pipes_holds_up_nobody() {
    for mode in FORKED {
        let script = "(setsid sh -c 'echo $$ > $TMPDIR/pid; exec sleep 60' &)
            until [ -s $TMPDIR/pid ]; do sleep 0.01; done; echo hi";
        let variables = [("mode", mode), ("exec_timeout", "15s")];
        let watchdog = Watchdog::script_with(script, &variables);
        let idle = watchdog.warm_up();
        watchdog.get("/").is(200, "hi\n");
        wait_until("the pipes are let go", || watchdog.descriptors() <= idle);
        let pid = std::fs::read_to_string(watchdog.path("pid")).unwrap();
        assert!(is_running(&pid));
        let pid = nix::unistd::Pid::from_raw(pid.trim().parse().unwrap());
        nix::sys::signal::kill(pid, Signal::SIGKILL).unwrap();
    }
}

/// Ten megabytes on one line are more than any pipe or buffer takes.
#[test]
fn a_flood_on_stderr_blocks_nobody_and_is_not_held() {
    const FLOOD: usize = 160 * 65536;
    let flood = format!("head -c {FLOOD} /dev/zero | tr '\\0' z >&2; echo done");
    for mode in FORKED {
        let variables = [
            ("mode", mode),
            ("combine_output", "false"),
            ("exec_timeout", "60s"),
        ];
        let watchdog = Watchdog::script_with(&flood, &variables);
        watchdog.get("/").is(200, "done\n");
        logged(&watchdog, FLOOD);
    }
    let watchdog = http(&[("exec_timeout", "60s")]);
    watchdog.get("/flood").is(200, "flooded");
    // The end of a line is what the function owes.
    allow(&watchdog, "go");
    logged(&watchdog, FLOOD - 131_072);
    assert!(is_running(&function(&watchdog)));
}

/// All of it, although no line ends; and little of it at a time.
fn logged(watchdog: &Watchdog, bytes: usize) {
    wait_until("it is logged", || {
        watchdog.log().matches('z').count() >= bytes
    });
    let log = watchdog.log();
    assert!(log.lines().all(|line| line.len() < 132_000));
    assert!(watchdog.memory_kb("VmHWM:") < 20_000);
}
