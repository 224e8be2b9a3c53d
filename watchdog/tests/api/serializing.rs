//! Mode serializing. What it has in common with streaming is tried there.

use std::fs;

use crate::support::{Watchdog, is_running, wait_until};

fn serializing(fprocess: &str) -> Watchdog {
    Watchdog::with(fprocess, &[("mode", "serializing")])
}

fn script(text: &str) -> Watchdog {
    Watchdog::script_with(text, &[("mode", "serializing")])
}

#[test]
fn a_failure_is_500_with_nothing_but_its_words_rows_107_111() {
    for (text, words) in [
        ("echo out; exit 1", "exit status 1"),
        ("printf 'partial output'; kill -9 $$", "signal: killed"),
        ("printf 'partial output'; exit 3", "exit status 3"),
    ] {
        let watchdog = script(text);
        let answer = watchdog.get("/");
        answer.is(500, words);
        assert_eq!(
            answer.header("Content-Type"),
            Some("application/octet-stream")
        );
        assert!(answer.header("X-Duration-Seconds").is_some());
        assert_eq!(
            answer.header("X-Openfaas-Internal"),
            None,
            "it is the function's"
        );
        // Differs on purpose: the original's line said 200.
        let size = words.len();
        watchdog.wait_for_log(&format!("GET / - 500 - ContentLength: {size}B ("));
    }
}

#[test]
fn a_function_that_cannot_start_row_108() {
    let answer = serializing("no-such-program-xyz").get("/");
    answer.is(
        500,
        "exec: \"no-such-program-xyz\": executable file not found in $PATH",
    );
    assert_eq!(answer.header("X-Openfaas-Internal"), Some("of-watchdog"));
}

#[test]
fn exec_timeout_kills_it_row_109() {
    let variables = [("mode", "serializing"), ("exec_timeout", "300ms")];
    let watchdog = Watchdog::with("sleep 60", &variables);
    let answer = watchdog.get("/");
    answer.is(500, "signal: killed");
    assert!(answer.header("X-Duration-Seconds").is_some());
}

/// Differs on purpose: the original killed the direct child alone, and waited for the grandchild.
#[test]
fn exec_timeout_kills_the_whole_group_row_110() {
    let variables = [("mode", "serializing"), ("exec_timeout", "300ms")];
    let text = "echo told >&2\nsleep 60 &\necho $! > $TMPDIR/pid\nwait";
    let watchdog = Watchdog::script_with(text, &variables);
    watchdog.get("/").is(500, "signal: killed");
    let pid = fs::read_to_string(watchdog.path("pid")).unwrap();
    wait_until("the grandchild is gone", || !is_running(&pid));
    watchdog.wait_for_log("stderr: told");
}

/// Differs on purpose for a large body: the original answered 500 and left a zombie.
#[test]
fn a_function_may_close_stdin_rows_112_113() {
    let watchdog = script("exec <&-\necho done");
    for size in [4, 1 << 20] {
        for _ in 0..20 {
            watchdog.post(vec![b'x'; size]).is(200, "done\n");
        }
    }
    wait_until("no zombie is left", || watchdog.children().is_empty());
}

/// Differs on purpose in the memory it takes: the original needed 175 MB.
#[test]
fn a_large_body_is_kept_in_a_file_row_114() {
    let watchdog = serializing("cat");
    let body = vec![b'x'; 50 << 20];
    assert!(watchdog.post(&body).body == body);
    assert!(watchdog.memory_kb("VmHWM:") < 20_000);
}

#[test]
fn an_upload_that_is_not_whole_row_115() {
    let unfinished = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n0123456789";
    let watchdog = serializing("touch $TMPDIR/ran");
    let mut caller = watchdog.connect();
    caller.write(unfinished);
    caller.half_close();
    // A caller who half-closes may be gone altogether; then there is nobody to tell.
    if let Some(answer) = caller.try_answer() {
        answer.is(500, "unexpected EOF");
    }

    let variables = [("mode", "serializing"), ("exec_timeout", "300ms")];
    let watchdog = Watchdog::with("cat", &variables);
    let mut caller = watchdog.connect();
    caller.write(unfinished);
    let answer = caller.answer();
    answer.is(500, "context deadline exceeded");
    assert_eq!(answer.header("Connection"), Some("close"));
    assert!(watchdog.children().is_empty());
}

/// Differs on purpose: the original kept something of every call.
#[test]
fn calls_leave_nothing_behind_row_116() {
    for mode in ["serializing", "streaming"] {
        let watchdog = Watchdog::with("cat", &[("mode", mode)]);
        watchdog.post("warm").is(200, "warm");
        let descriptors = watchdog.warm_up();
        let memory = watchdog.memory_kb("VmRSS:");
        for _ in 0..300 {
            watchdog.post("a").is(200, "a");
        }
        wait_until("descriptors are back", || {
            watchdog.descriptors() <= descriptors + 1
        });
        assert!(watchdog.memory_kb("VmRSS:") < memory + 2000, "{mode}");
        wait_until("no zombie is left", || watchdog.children().is_empty());
    }
}
