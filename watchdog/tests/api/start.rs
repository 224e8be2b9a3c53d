//! Starting, and not starting.

use std::net::TcpListener;

use nix::sys::signal::Signal;

use crate::support::{Watchdog, free_port, run};

#[test]
fn a_function_is_required_row_207() {
    for variables in [&[][..], &[("fprocess", "")]] {
        let end = run(&[], variables);
        assert_eq!(end.status.code(), Some(2));
        assert!(end.stderr.contains("Provide a valid process via fprocess"));
    }
}

#[test]
fn unknown_modes_row_208() {
    for mode in ["htttp", "Streaming", "afterburn"] {
        let end = run(&[], &[("fprocess", "cat"), ("mode", mode)]);
        assert_eq!(end.status.code(), Some(2), "{mode}");
        assert!(end.stderr.contains("unknown watchdog mode"));
    }
}

#[test]
fn a_function_is_required_in_other_modes_row_207() {
    for variables in [
        &[("mode", "streaming")][..],
        &[("mode", "serializing"), ("fprocess", "")],
        &[
            ("mode", "streaming"),
            ("fprocess", "cat"),
            ("function_process", ""),
        ],
    ] {
        let end = run(&[], variables);
        assert_eq!(end.status.code(), Some(1));
        assert!(end.stderr.contains("Error loading config: "));
        assert!(end.stderr.contains("function_process or fprocess"));
    }
}

#[test]
fn mistakes_of_other_modes_row_209() {
    for (name, value, words) in [
        ("write_timeout", "0", "HTTP write timeout must be over 0s"),
        (
            "log_buffer_size",
            "abc",
            "invalid log_buffer_size value: abc",
        ),
    ] {
        let end = run(
            &[],
            &[("mode", "streaming"), ("fprocess", "cat"), (name, value)],
        );
        assert_eq!(end.status.code(), Some(1), "{name}");
        assert!(end.stderr.contains(words), "{}", end.stderr);
    }
}

/// Differs on purpose: whether a function is healthy is no question of its configuration.
#[test]
fn the_health_check_needs_no_configuration_row_212() {
    let watchdog = Watchdog::with("cat", &[("mode", "streaming")]);
    let directory = watchdog.directory.path().to_str().unwrap();
    let variables = [("TMPDIR", directory), ("mode", "streaming")];
    let end = run(&["-run-healthcheck"], &variables);
    assert_eq!((end.status.code(), end.stderr.as_str()), (Some(0), ""));
}

#[test]
fn inproc_is_for_other_programs() {
    let end = run(&[], &[("fprocess", "cat"), ("mode", "inproc")]);
    assert_eq!(end.status.code(), Some(1));
    assert!(end.stderr.contains("mode inproc"));
}

#[test]
fn flags_row_210() {
    for (flag, status, words) in [
        ("-version", 0, "Version: "),
        ("--version", 0, "\tSHA: "),
        ("-h", 0, "-run-healthcheck"),
        ("--help", 0, "exec_timeout"),
        ("-bogus", 2, "flag provided but not defined: -bogus"),
        ("-version=maybe", 2, "invalid boolean value"),
    ] {
        let end = run(&[flag], &[]);
        assert_eq!(end.status.code(), Some(status), "{flag}");
        assert!(end.stderr.contains(words), "{flag}: {}", end.stderr);
    }
}

#[test]
fn the_health_check_of_images_without_a_shell_row_211() {
    let watchdog = Watchdog::start("cat");
    let directory = watchdog.directory.path().to_str().unwrap();
    let end = run(&["-run-healthcheck"], &[("TMPDIR", directory)]);
    assert_eq!((end.status.code(), end.stderr.as_str()), (Some(0), ""));

    let empty = tempfile::tempdir().unwrap();
    let end = run(
        &["--run-healthcheck"],
        &[("TMPDIR", empty.path().to_str().unwrap())],
    );
    assert_eq!(end.status.code(), Some(1));
    assert_eq!(end.stderr, "unable to find lock file.\n");
}

#[test]
fn durations_are_read_rows_213_214() {
    let watchdog = Watchdog::with(
        "cat",
        &[
            ("read_timeout", "7"),
            ("write_timeout", "1m30s"),
            ("exec_timeout", "1500ms"),
            ("healthcheck_interval", "2s"),
        ],
    );
    let line = watchdog.wait_for_log("Timeouts: ");
    assert_eq!(line, "read: 7s write: 1m30s hard: 1.5s health: 2s.");

    let watchdog = Watchdog::with(
        "cat",
        &[
            ("read_timeout", "soon"),
            ("write_timeout", "-5"),
            ("exec_timeout", "1x"),
            ("healthcheck_interval", ""),
        ],
    );
    let line = watchdog.wait_for_log("Timeouts: ");
    assert_eq!(line, "read: 30s write: 30s hard: 0s health: 30s.");
    watchdog.wait_for_log("Warning: read_timeout=\"soon\" is taken as 30s");
    watchdog.wait_for_log("Warning: exec_timeout=\"1x\" is taken as 0s");
}

#[test]
fn a_lock_file_that_cannot_be_written_row_216() {
    let variables = [
        ("fprocess", "cat"),
        ("port", "0"),
        ("TMPDIR", "/no/such/directory"),
    ];
    let end = run(&[], &variables);
    assert_eq!(end.status.code(), Some(2));
    assert!(end.stderr.contains(
        "Cannot write /no/such/directory/.lock. To disable lock-file set env suppress_lock=true."
    ));
}

/// Differs on purpose: the original ended with 0 and without a word.
#[test]
fn a_lock_file_that_cannot_be_written_in_other_modes_row_216() {
    let variables = [
        ("mode", "streaming"),
        ("fprocess", "cat"),
        ("port", "0"),
        ("TMPDIR", "/dev/null/no"),
    ];
    let end = run(&[], &variables);
    assert_eq!(end.status.code(), Some(2));
    assert!(end.stderr.contains("Cannot write /dev/null/no/.lock."));
}

/// Differs on purpose: the original ended with 0, and left the lock file behind.
#[test]
fn a_port_that_is_taken_row_217() {
    let taken = TcpListener::bind("[::]:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let directory = tempfile::tempdir().unwrap();
    let variables = [
        ("fprocess", "cat"),
        ("port", &*port.to_string()),
        ("TMPDIR", directory.path().to_str().unwrap()),
    ];
    let end = run(&[], &variables);
    assert_eq!(end.status.code(), Some(1));
    let words = format!("Error ListenAndServe: listen tcp :{port}: bind: address already in use\n");
    assert!(end.stderr.contains(&words), "{}", end.stderr);
    assert!(!directory.path().join(".lock").exists());
}

/// Differs on purpose: the original died; a function with its own server on 8081 works now.
#[test]
fn a_metrics_port_that_is_taken_row_217() {
    let taken = TcpListener::bind("[::]:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let watchdog = Watchdog::with("cat", &[("metrics_port", &port)]);
    watchdog.post("a").is(200, "a");
    watchdog.wait_for_log("Warning: no metrics: ");
}

#[test]
fn an_interrupt_ends_it_at_once_row_222() {
    let port = free_port().to_string();
    let mut watchdog = Watchdog::with("cat", &[("port", &port), ("healthcheck_interval", "30s")]);
    watchdog.signal(Signal::SIGINT);
    let status = watchdog.wait();
    assert!(!status.success());
    assert!(watchdog.lock_file().exists());
}
