//! What the fork modes log: a line per call, and what the function says on stderr.

use crate::streaming::streaming;
use crate::support::Watchdog;

const MODES: [&str; 2] = ["streaming", "serializing"];

#[test]
fn stderr_is_logged_line_by_line_row_91() {
    for mode in MODES {
        let text = "echo out; echo err >&2";
        for (name, value, prefixed) in [
            ("prefix_logs", "true", true),
            ("prefix_logs", "F", false),
            ("prefix_logs", "false", false),
            ("prefix_logs", "maybe", true),
        ] {
            let watchdog = Watchdog::script_with(text, &[("mode", mode), (name, value)]);
            watchdog.get("/").is(200, "out\n");
            watchdog.wait_for_log("ContentLength: 4B");
            let log = watchdog.log();
            let line = log.lines().find(|line| line.ends_with("err")).unwrap();
            if prefixed {
                let (stamp, text) = line.split_at("2006/01/02 15:04:05 ".len());
                assert!(stamp.chars().all(|c| "0123456789/: ".contains(c)), "{line}");
                assert_eq!(text, "stderr: err");
            } else {
                assert_eq!(line, "err");
            }
        }
    }
}

#[test]
fn probes_get_no_access_line_row_92() {
    for mode in MODES {
        let watchdog = Watchdog::with("printf a", &[("mode", mode)]);
        let probe = ["User-Agent: kube-probe/1.29"];
        watchdog.call("GET", "/probe", &probe, b"").is(200, "a");
        watchdog.get("/x?y").is(200, "a");
        let rest = watchdog.wait_for_log("GET /x?y - 200 - ContentLength: 1B (0.");
        assert!(rest.ends_with("s)"), "{rest}");
        assert!(!watchdog.log().contains("/probe"));
    }
}

/// Differs on purpose: the original read the variable in mode http alone.
#[test]
fn the_call_id_can_be_logged() {
    for mode in MODES {
        let watchdog = Watchdog::with("true", &[("mode", mode), ("log_callid", "true")]);
        watchdog
            .call("GET", "/a", &["X-Call-Id: c-1"], b"")
            .is(200, "");
        assert!(watchdog.wait_for_log("GET /a - 200").ends_with(" [c-1]"));
        watchdog.get("/b").is(200, "");
        assert!(watchdog.wait_for_log("GET /b - 200").ends_with(" [none]"));
    }
}

/// Differs on purpose: the original stopped reading at such a line, and the function hung.
#[test]
fn a_long_line_is_split_row_121() {
    let text =
        "head -c 70000 /dev/zero | tr '\\0' x >&2; head -c 300000 /dev/zero >&2; echo end >&2";
    let watchdog = Watchdog::script_with(text, &[("mode", "streaming")]);
    watchdog.get("/").is(200, "");
    watchdog.wait_for_log("end");
    let log = watchdog.log();
    let logged = log.chars().filter(|letter| *letter == 'x').count();
    assert!(logged >= 70_000, "{logged} of 70000 bytes");
}

/// Differs on purpose: with these sizes the original lost the last line, or all of them.
#[test]
fn a_last_line_without_an_end_is_logged_row_122() {
    for size in ["65536", "-1", "0"] {
        let variables = [("mode", "streaming"), ("log_buffer_size", size)];
        let watchdog = Watchdog::script_with("printf 'one\\ntwo' >&2", &variables);
        watchdog.get("/").is(200, "");
        watchdog.wait_for_log("stderr: one");
        watchdog.wait_for_log("stderr: two");
    }
}

/// Differs on purpose: the original lost up to a quarter of the lines.
#[test]
fn no_line_is_lost() {
    let text = "seq -f 'line %g.' 5000 >&2";
    let watchdog = Watchdog::script_with(text, &[("mode", "streaming")]);
    watchdog.get("/").is(200, "");
    watchdog.wait_for_log("line 5000.");
    assert_eq!(watchdog.log().matches("stderr: line ").count(), 5000);
}

#[test]
fn targets_cannot_forge_lines() {
    let watchdog = streaming("true");
    let long = format!("/{}", "a".repeat(20_000));
    watchdog.get(&long).is(200, "");
    let rest = watchdog.wait_for_log("GET /a");
    assert!(rest.len() < 3000, "{}", rest.len());
}
