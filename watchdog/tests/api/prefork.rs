//! Warm spares: processes that wait for a call.

use std::collections::HashSet;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Watchdog, is_running, run, wait_until};

/// Says who it is, once it has read its input.
const WHO: &str = "read input; echo $$ $input";

fn script(text: &str, spares: &str) -> Watchdog {
    let variables = [("cgi_headers", "false"), ("prefork", spares)];
    Watchdog::script_with(text, &variables)
}

fn waiting(watchdog: &Watchdog) -> HashSet<i32> {
    let children = watchdog.children().into_iter();
    children.map(|(pid, _)| pid).collect()
}

/// Waits until there are this many, and nothing else.
fn wait_for(watchdog: &Watchdog, count: usize) -> HashSet<i32> {
    wait_until("the spares are there", || waiting(watchdog).len() == count);
    waiting(watchdog)
}

#[test]
fn spares_need_a_fixed_environment() {
    for variables in [
        &[("prefork", "2")][..],
        &[("prefork", "2"), ("cgi_headers", "true")],
        &[
            ("prefork", "2"),
            ("cgi_headers", "false"),
            ("mode", "streaming"),
        ],
    ] {
        let end = run(&[], &[variables, &[("fprocess", "cat")]].concat());
        assert_eq!(end.status.code(), Some(1));
        assert!(
            end.stderr
                .contains("prefork=2 needs mode=classic and cgi_headers=false")
        );
    }
}

#[test]
fn a_call_is_answered_by_a_spare_which_is_replaced() {
    let watchdog = script(WHO, "3");
    let mut answered = HashSet::new();
    for call in 0..20 {
        let spares = wait_for(&watchdog, 3);
        let answer = watchdog.post(format!("call-{call}\n")).text();
        let (pid, input) = answer.trim().split_once(' ').unwrap();
        assert_eq!(input, format!("call-{call}"));
        let pid: i32 = pid.parse().unwrap();
        assert!(spares.contains(&pid), "it had been started ahead");
        assert!(answered.insert(pid), "it had answered before");
    }
}

#[test]
fn more_calls_than_spares_are_answered_all_the_same() {
    let watchdog = script(WHO, "1");
    let callers: Vec<_> = (0..10)
        .map(|call| {
            let mut caller = watchdog.connect();
            caller.send("POST", "/", &[], format!("{call}\n").as_bytes());
            caller
        })
        .collect();
    for (call, mut caller) in callers.into_iter().enumerate() {
        let answer = caller.answer();
        assert_eq!(answer.status, 200);
        assert!(answer.text().ends_with(&format!(" {call}\n")));
    }
}

#[test]
fn a_spare_that_was_killed_is_not_called() {
    let watchdog = script(WHO, "2");
    for pid in wait_for(&watchdog, 2) {
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }
    wait_until("they are reaped", || watchdog.children().is_empty());
    let answer = watchdog.post("a\n");
    assert_eq!(answer.status, 200, "{}", answer.text());
    wait_for(&watchdog, 2);
}

/// It would only say what had been so when it was started.
#[test]
fn a_program_that_does_not_wait_is_started_for_its_call() {
    let watchdog = script("cat $TMPDIR/now 2> /dev/null", "2");
    wait_until("the spares are reaped", || watchdog.children().is_empty());
    std::fs::write(watchdog.path("now"), "late").unwrap();
    watchdog.get("/").is(200, "late");
    wait_until("nothing is left", || watchdog.children().is_empty());
}

#[test]
fn a_program_that_cannot_start_is_told() {
    let variables = [("cgi_headers", "false"), ("prefork", "2")];
    let watchdog = Watchdog::with("/no/such/program", &variables);
    watchdog.wait_for_log("Warning: no process is started ahead");
    assert_eq!(watchdog.get("/").status, 500);
}

#[test]
fn exec_timeout_counts_from_the_call() {
    let variables = [
        ("cgi_headers", "false"),
        ("prefork", "1"),
        ("exec_timeout", "300ms"),
    ];
    let watchdog = Watchdog::script_with("read a; [ $a = slow ] && sleep 60; echo $a", &variables);
    let spare = wait_for(&watchdog, 1);
    watchdog.post("slow\n").is(408, "Killed process.\n");
    wait_until("another one waits", || {
        waiting(&watchdog).len() == 1 && waiting(&watchdog) != spare
    });
    watchdog.post("fast\n").is(200, "fast\n");
}

#[test]
fn idle_spares_end_with_the_watchdog() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut watchdog = script(&format!("trap '' TERM\n{WHO}\ntouch $TMPDIR/ran"), "3");
        let spares = wait_for(&watchdog, 3);
        watchdog.signal(signal);
        watchdog.wait();
        for pid in spares {
            wait_until("it is gone", || !is_running(&pid.to_string()));
        }
        // The end of their input was no call.
        assert!(!watchdog.path("ran").exists());
    }
}
