//! What must not be left behind: processes, zombies, descriptors.

use std::fs;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::caller::Caller;
use crate::support::{Watchdog, children_of, is_running, wait_until};

/// Two generations of processes that note their numbers.
const FAMILY: &str = "echo $$ > $TMPDIR/pids; sleep 60 & echo $! >> $TMPDIR/pids; sleep 60";

fn family(watchdog: &Watchdog) -> Vec<String> {
    let mut pids = Vec::new();
    wait_until("both generations run", || {
        let text = fs::read_to_string(watchdog.path("pids")).unwrap_or_default();
        pids = text.lines().map(str::to_owned).collect();
        pids.len() == 2
    });
    pids
}

/// Differs on purpose: the original worked on for nobody.
#[test]
fn a_caller_who_hangs_up_stops_the_function_row_79() {
    let watchdog = Watchdog::script(FAMILY);
    let mut caller = watchdog.connect();
    caller.send("POST", "/", &[], b"body");
    let pids = family(&watchdog);
    drop(caller);
    for pid in &pids {
        wait_until("the group is gone", || !is_running(pid));
    }
    wait_until("it is reaped", || watchdog.children().is_empty());
}

/// The end of such a connection lies behind bytes that nobody reads.
#[test]
fn a_caller_who_hangs_up_in_an_upload_that_is_not_read_stops_the_function() {
    for script in ["sleep 60", "echo begun; sleep 60"] {
        let variables = [
            ("mode", "streaming"),
            ("read_timeout", "90s"),
            ("write_timeout", "90s"),
            ("exec_timeout", "90s"),
            ("max_inflight", "1"),
        ];
        let watchdog = Watchdog::script_with(script, &variables);
        let hang_up: [(usize, fn(Caller)); 2] = [(120_000, drop), (10_000_000, Caller::reset)];
        for (bytes, hang_up) in hang_up {
            let mut caller = watchdog.connect();
            caller.begin_upload("/", bytes);
            wait_until("it runs", || !watchdog.children().is_empty());
            hang_up(caller);
            wait_until("it is stopped", || watchdog.children().is_empty());
            wait_until("the place is free", || {
                watchdog.get("/_/ready").status == 200
            });
        }
        watchdog.wait_for_log("POST / - 499");
    }
}

#[test]
fn an_interrupt_takes_the_functions_along() {
    let mut watchdog = Watchdog::script(FAMILY);
    let mut caller = watchdog.connect();
    caller.send("GET", "/", &[], b"");
    let pids = family(&watchdog);
    watchdog.signal(nix::sys::signal::Signal::SIGINT);
    watchdog.wait();
    for pid in &pids {
        wait_until("the group is gone", || !is_running(pid));
    }
}

#[test]
fn nothing_is_left_of_any_kind_of_call() {
    let watchdog = Watchdog::script_with(
        "case $Http_Path in /slow) sleep 60;; /bad) exit 1;; /back) sleep 60 & ;; *) cat;; esac",
        &[("exec_timeout", "10s")],
    );
    // The runtime opens what it needs at the first call.
    watchdog.post("warm up").is(200, "warm up");
    let before = watchdog.warm_up();
    for round in 0..10 {
        watchdog.post(vec![b'x'; 2_000_000]);
        watchdog.get("/bad");
        watchdog.call("GET", "/slow", &["X-Remaining-Ms: 50"], b"");
        // An upload that breaks off, and a caller who hangs up.
        let mut caller = watchdog.connect();
        caller.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n0123456789");
        drop(caller);
        let mut caller = watchdog.connect();
        caller.send("GET", "/slow", &[], b"");
        wait_until("it runs", || !watchdog.children().is_empty());
        drop(caller);
        wait_until("no child is left, and no zombie", || {
            watchdog.children().is_empty()
        });
        if round == 0 {
            // Its pipes are let go although a descendant holds them.
            watchdog.get("/back").is(200, "");
        }
    }
    wait_until("no descriptor is left", || watchdog.descriptors() <= before);
}

/// Differs on purpose: in the original each orphan was a zombie for the life of the container.
#[test]
fn process_1_reaps_orphans() {
    let orphans = "(sleep 0.1 & sleep 0.1 &) </dev/null >/dev/null 2>&1\nexit 7";
    let (watchdog, process_1) = as_process_1(orphans);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    // Its own children's exit status is not stolen.
                    watchdog.get("/").is(500, "exit status 7\n");
                }
            });
        }
    });
    wait_until("all orphans are reaped", || {
        children_of(process_1.as_raw()).is_empty()
    });
    kill(process_1, Signal::SIGKILL).unwrap();
}

/// While it drains, too: a call may take its time, and leave much behind.
#[test]
fn process_1_reaps_orphans_until_its_end() {
    let (mut watchdog, process_1) = as_process_1(
        "(sleep 1 & sleep 1 &) </dev/null >/dev/null 2>&1; touch $TMPDIR/started
        until [ -e $TMPDIR/go ]; do sleep 0.02; done; echo done",
    );
    let mut caller = watchdog.connect();
    caller.send("GET", "/", &[], b"");
    wait_until("it runs", || watchdog.path("started").exists());
    kill(process_1, Signal::SIGTERM).unwrap();
    watchdog.wait_for_log("draining: 1 requests");
    assert_eq!(
        children_of(process_1.as_raw()).len(),
        3,
        "the call's, and its orphans"
    );
    wait_until("the orphans are reaped", || {
        children_of(process_1.as_raw()).len() == 1
    });
    fs::write(watchdog.path("go"), "").unwrap();
    caller.answer().is(200, "done\n");
    assert_eq!(watchdog.wait().code(), Some(0));
}

/// A watchdog that is process 1 of a namespace, and its number outside.
fn as_process_1(text: &str) -> (Watchdog, Pid) {
    let mut unshare = Command::new("unshare");
    unshare
        .args(["--pid", "--fork", "--mount-proc", "--kill-child", "--"])
        .arg(env!("CARGO_BIN_EXE_fwatchdog"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("metrics_port", "0");
    let directory = tempfile::tempdir().unwrap();
    let script = crate::support::write_script(directory.path(), &format!("#!/bin/sh\n{text}\n"));
    let fprocess = script.to_str().unwrap().to_owned();
    let watchdog = Watchdog::launch(unshare, directory, &fprocess, &[]);
    let process_1 = Pid::from_raw(children_of(watchdog.pid().as_raw())[0].0);
    (watchdog, process_1)
}
