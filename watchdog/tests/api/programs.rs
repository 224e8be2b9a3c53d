//! Programs of every kind, the misbehaving ones above all.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;

use crate::support::{TEXT, Watchdog, wait_until, write_script};

#[test]
fn fprocess_is_split_without_quoting_rows_22_to_27() {
    let answer = Watchdog::start("sh -c 'echo hi'").post("x");
    assert_eq!(answer.status, 500);
    assert!(
        answer.text().starts_with("exit status 2\n"),
        "{}",
        answer.text()
    );
    assert!(answer.text().to_lowercase().contains("unterminated"));

    Watchdog::start("printf [%s] a  b")
        .get("/")
        .is(200, "[a][][b]");
    Watchdog::start("printf [%s] x ").get("/").is(200, "[x][]");
    Watchdog::start(" cat")
        .get("/")
        .is(500, "exec: no command\n");
    let answer = Watchdog::start("printf\thi").get("/");
    assert_eq!(answer.status, 500);
    assert!(
        answer
            .text()
            .ends_with("executable file not found in $PATH\n")
    );
    Watchdog::start("printf %s $HOME/*")
        .get("/")
        .is(200, "$HOME/*");
}

#[test]
fn a_script_needs_an_interpreter_line_row_28() {
    Watchdog::script("echo yes").get("/").is(200, "yes\n");

    let directory = tempfile::tempdir().unwrap();
    let path = write_script(directory.path(), "echo no\n");
    let answer = Watchdog::start(path.to_str().unwrap()).get("/");
    let expected = format!("fork/exec {}: exec format error\n", path.display());
    answer.is(500, &expected);
}

#[test]
fn a_program_that_does_not_exist_rows_36_37() {
    let watchdog = Watchdog::start("no-such-program-xyz");
    let answer = watchdog.get("/");
    answer.is(
        500,
        "exec: \"no-such-program-xyz\": executable file not found in $PATH\n",
    );
    assert_eq!(answer.header("Content-Type"), Some(TEXT));
    assert_eq!(answer.header("X-Openfaas-Internal"), Some("of-watchdog"));
    watchdog.wait_for_log("Success=false, Error=exec: \"no-such-program-xyz\"");

    let answer = Watchdog::start("/no/such/program").get("/");
    answer.is(
        500,
        "fork/exec /no/such/program: no such file or directory\n",
    );
}

/// Differs on purpose: the original crashed and closed the connection.
#[test]
fn a_program_that_does_not_exist_with_write_debug_row_38() {
    let watchdog = Watchdog::with("/no/such/program", &[("write_debug", "true")]);
    let answer = watchdog.get("/");
    answer.is(
        500,
        "fork/exec /no/such/program: no such file or directory\n",
    );
}

#[test]
fn a_program_that_is_not_executable() {
    let directory = tempfile::tempdir().unwrap();
    let path = write_script(directory.path(), "#!/bin/sh\necho no\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let answer = Watchdog::start(path.to_str().unwrap()).get("/");
    let expected = format!("fork/exec {}: permission denied\n", path.display());
    answer.is(500, &expected);
}

#[test]
fn a_program_that_exits_at_once_or_prints_nothing() {
    let watchdog = Watchdog::start("/bin/true");
    for _ in 0..50 {
        watchdog.post(vec![b'x'; 100_000]).is(200, "");
    }
    Watchdog::start("/bin/false")
        .post("x")
        .is(500, "exit status 1\n");
}

#[test]
fn a_program_that_closes_stdin_early_row_54() {
    let body = vec![b'x'; 3_000_000];
    Watchdog::script("exec <&-; echo done")
        .post(&body)
        .is(200, "done\n");
    Watchdog::script("head -c 1 >/dev/null; echo done")
        .post(&body)
        .is(200, "done\n");
}

#[test]
fn a_program_that_prints_100_mb() {
    let watchdog = Watchdog::start("head -c 100000000 /dev/zero");
    let answer = watchdog.get("/");
    assert_eq!((answer.status, answer.body.len()), (200, 100_000_000));
    assert!(watchdog.memory_kb("VmHWM") < 40_000);
}

#[test]
fn a_program_that_ignores_sigterm_is_killed() {
    let script = "trap '' TERM; sleep 60";
    let watchdog = Watchdog::script_with(script, &[("exec_timeout", "200ms")]);
    watchdog.get("/").is(408, "Killed process.\n");
    wait_until("nothing runs any more", || watchdog.children().is_empty());
}

/// Differs on purpose: the original answered after the two seconds.
#[test]
fn a_program_that_forks_children_is_not_waited_for_row_42() {
    let watchdog = Watchdog::script("sleep 2 & echo hi");
    let started = std::time::Instant::now();
    watchdog.get("/").is(200, "hi\n");
    assert!(started.elapsed().as_millis() < 1500);
}

#[test]
fn a_background_process_with_its_own_output_goes_on_row_42() {
    let watchdog = Watchdog::script(
        "cd $TMPDIR; (sleep 0.3; echo late > marked) </dev/null >/dev/null 2>&1 & echo hi",
    );
    watchdog.get("/").is(200, "hi\n");
    wait_until("the background process is done", || {
        watchdog.path("marked").exists()
    });
}

#[test]
fn a_background_process_that_never_stops_talking_is_cut_off() {
    let watchdog = Watchdog::script("yes & echo $! > $TMPDIR/pid; echo hi");
    let answer = watchdog.get("/");
    assert_eq!(answer.status, 200);
    let pid = fs::read_to_string(watchdog.path("pid")).unwrap();
    wait_until("SIGPIPE has ended it", || !crate::support::is_running(&pid));
}

#[test]
fn everything_a_process_wrote_before_its_end_is_there() {
    // More than the kernel hands over at once, from a process that is gone when it is read.
    let watchdog = Watchdog::script("head -c 65536 /dev/zero; sleep 1 &");
    for _ in 0..20 {
        assert_eq!(watchdog.get("/").body.len(), 65536);
    }
}

#[test]
fn a_process_that_has_closed_its_output_is_waited_for() {
    for pause in ["0", "0.002", "0.3"] {
        let script = format!("echo said; exec >&- 2>&-; sleep {pause}; exit 3");
        assert_eq!(Watchdog::script(&script).get("/").status, 500, "{pause}");
    }
}

#[test]
fn descriptors_of_a_function_are_three_pipes_row_78() {
    let watchdog = Watchdog::script("readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2");
    let lines = watchdog.get("/").lines();
    assert!(lines.len() == 3 && lines.iter().all(|line| line.starts_with("pipe:")));

    let watchdog = Watchdog::start("ls -l /proc/self/fd");
    let text = watchdog.get("/").text();
    assert!(
        !text.contains("socket:") && !text.contains("anon_inode"),
        "{text}"
    );
}

#[test]
fn a_function_has_the_default_sigpipe() {
    // Ignored SIGPIPE would make `yes` complain about a broken pipe on stderr, which is in the answer.
    Watchdog::script("yes | head -1").get("/").is(200, "y\n");
    // The C library ignores two signals of its own, above these.
    let watchdog = Watchdog::start("grep -E ^Sig(Ign|Blk) /proc/self/status");
    for line in watchdog.get("/").lines() {
        let mask = line.split_whitespace().nth(1).unwrap();
        let mask = u64::from_str_radix(mask, 16).unwrap();
        assert_eq!(mask & (1 << (Signal::SIGPIPE as u64 - 1)), 0, "{line}");
    }
}

#[test]
fn a_function_leads_a_group_of_its_own() {
    let watchdog = Watchdog::script("cut -d' ' -f1,5 /proc/$$/stat");
    let text = watchdog.get("/").text();
    let (pid, group) = text.trim().split_once(' ').unwrap();
    assert_eq!(pid, group);
}
