//! Health, readiness, the lock file.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{TEXT, Watchdog, program, wait_until};

#[test]
fn health_is_told_row_61() {
    let watchdog = Watchdog::start("cat");
    let answer = watchdog.get("/_/health?x");
    answer.is(200, "OK");
    assert_eq!(answer.header("Content-Type"), Some(TEXT));
    watchdog.call("POST", "/_/health", &[], b"").is(405, "");
    watchdog.call("HEAD", "/_/health", &[], b"").is(405, "");
}

#[test]
fn the_lock_file_decides_row_62() {
    let watchdog = Watchdog::start("cat");
    fs::remove_file(watchdog.lock_file()).unwrap();
    watchdog.get("/_/health").is(503, "");
    watchdog.get("/_/ready").is(503, "");
    watchdog.post("a").is(200, "a");
    fs::write(watchdog.lock_file(), "").unwrap();
    watchdog.get("/_/health").is(200, "OK");
}

#[test]
fn other_paths_are_the_functions_row_63() {
    let watchdog = Watchdog::start("printf fn");
    for path in ["/_/health/", "/_/healthz", "/metrics"] {
        watchdog.get(path).is(200, "fn");
    }
}

/// Differs on purpose: orchestrators ask every function for readiness; the original forked it with that path.
#[test]
fn readiness_is_told_row_63() {
    let watchdog = Watchdog::start("printf fn");
    watchdog.get("/_/ready").is(200, "");
    watchdog.call("POST", "/_/ready", &[], b"").is(405, "");
    watchdog.call("HEAD", "/_/ready", &[], b"").is(405, "");
}

/// Ours: provider-memory stops a watchdog only while it has no call.
#[test]
fn readiness_tells_how_many_calls_are_in_flight() {
    let watchdog = Watchdog::start("sleep 60");
    let tells = |calls: &str| {
        let answer = watchdog.get("/_/ready");
        answer.header("X-In-Flight") == Some(calls)
    };
    assert!(tells("0"));
    let mut callers = [watchdog.connect(), watchdog.connect()];
    for caller in &mut callers {
        caller.send("POST", "/", &[], b"");
    }
    wait_until("both are counted", || tells("2"));
    drop(callers);
    wait_until("they are gone", || tells("0"));
}

/// Differs on purpose: health was 503 for ever without the lock file that one had asked not to have.
#[test]
fn a_suppressed_lock_file_is_no_illness_row_64() {
    let watchdog = Watchdog::with("cat", &[("suppress_lock", "true")]);
    watchdog.get("/_/health").is(200, "OK");
    watchdog.get("/_/ready").is(200, "");
    watchdog.post("a").is(200, "a");
    assert!(!watchdog.lock_file().exists());
    watchdog.wait_for_log("Warning: \"suppress_lock\" is enabled.");
}

#[test]
fn a_lock_file_of_an_earlier_run_is_emptied_row_83() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".lock"), "old").unwrap();
    let watchdog = Watchdog::launch(program(), directory, "cat", &[]);
    assert_eq!(fs::metadata(watchdog.lock_file()).unwrap().len(), 0);

    let watchdog = Watchdog::start("cat");
    let mode = fs::metadata(watchdog.lock_file())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660 & !umask());
}

/// The umask of this process, which the watchdog inherits.
fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("Umask:"))
        .unwrap();
    u32::from_str_radix(line.split_whitespace().nth(1).unwrap(), 8).unwrap()
}
