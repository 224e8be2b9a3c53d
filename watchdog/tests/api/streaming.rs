//! Mode streaming: what callers see when all goes well. What both fork modes have in common is tried on both.

use crate::support::{Watchdog, wait_until};

const OCTETS: Option<&str> = Some("application/octet-stream");

/// A streaming function.
pub(crate) fn streaming(fprocess: &str) -> Watchdog {
    Watchdog::with(fprocess, &[("mode", "streaming")])
}

/// A streaming script.
pub(crate) fn script(text: &str) -> Watchdog {
    Watchdog::script_with(text, &[("mode", "streaming")])
}

/// The same function in either mode.
fn both(fprocess: &str, more: &[(&str, &str)]) -> [Watchdog; 2] {
    ["streaming", "serializing"].map(|mode| {
        let variables = [&[("mode", mode)], more].concat();
        Watchdog::with(fprocess, &variables)
    })
}

/// Differs on purpose: a streamed answer has no Content-Length, as its first piece is sent before there is a second.
#[test]
fn an_answer_has_the_configured_type_row_84() {
    let [streaming, serializing] = both("cat", &[]);
    let call = |watchdog: &Watchdog| {
        watchdog.call("POST", "/", &["Content-Type: application/json"], b"hello")
    };
    let answer = call(&streaming);
    answer.is(200, "hello");
    assert_eq!(answer.header("Content-Type"), OCTETS);
    assert_eq!(answer.header("Transfer-Encoding"), Some("chunked"));
    assert_eq!(answer.header("X-Duration-Seconds"), None);

    let answer = call(&serializing);
    answer.is(200, "hello");
    assert_eq!(answer.header("Content-Type"), OCTETS);
    assert_eq!(answer.header("Content-Length"), Some("5"));
    let seconds = answer.header("X-Duration-Seconds").unwrap();
    assert_eq!(seconds.split_once('.').unwrap().1.len(), 6);
}

/// Differs on purpose: an empty variable is an unset one, and not a header without a value.
#[test]
fn the_type_can_be_set_row_85() {
    for watchdog in both("cat", &[("content_type", "text/css")]) {
        assert_eq!(watchdog.post("a").header("Content-Type"), Some("text/css"));
    }
    for watchdog in both("cat", &[("content_type", "")]) {
        assert_eq!(watchdog.post("a").header("Content-Type"), OCTETS);
    }
}

#[test]
fn the_request_is_in_the_environment_row_86() {
    for watchdog in both("env", &[]) {
        let headers = [
            "x-FOO-bar: one",
            "X-Foo-Bar: two",
            "my_header: under",
            "X-Empty:",
        ];
        let answer = watchdog.call("POST", "/a/b%20c?q=1&z=%20x", &headers, b"{}");
        let lines = answer.lines();
        for line in [
            "Http_X_Foo_Bar=one",
            "Http_My_header=under",
            "Http_X_Empty=",
            "Http_Method=POST",
            "Http_Content_Length=2",
            "Http_Query=q=1&z=%20x",
            "Http_Path=/a/b c",
        ] {
            assert!(lines.iter().any(|have| have == line), "{line}: {lines:?}");
        }
        for name in ["Http_Host", "Http_ContentLength", "Http_Transfer_Encoding"] {
            let start = format!("{name}=");
            assert!(!lines.iter().any(|line| line.starts_with(&start)), "{name}");
        }
        let lines = watchdog.get("/").lines();
        assert!(!lines.iter().any(|line| line.starts_with("Http_Content")));
    }
}

#[test]
fn a_chunked_request_has_no_length_row_87() {
    for watchdog in both("env", &[]) {
        let request = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        let lines = watchdog.raw(request).lines();
        assert!(lines.contains(&"Http_Transfer_Encoding=chunked".to_owned()));
        assert!(!lines.iter().any(|line| line.starts_with("Http_Content")));
    }
}

#[test]
fn headers_are_always_in_the_environment_row_88() {
    for watchdog in both("printenv Http_X_A", &[("cgi_headers", "false")]) {
        watchdog.call("GET", "/", &["X-A: v"], b"").is(200, "v\n");
    }
}

#[test]
fn every_method_reaches_the_function_row_89() {
    for watchdog in both("printenv Http_Method", &[]) {
        for method in ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"] {
            let answer = watchdog.call(method, "/", &[], b"");
            answer.is(200, &format!("{method}\n"));
        }
    }
}

#[test]
fn head_runs_the_function_row_90() {
    for mode in ["streaming", "serializing"] {
        // More than a pipe holds, and then a mark.
        let text = "head -c 300000 /dev/zero\n[ $Http_Method = HEAD ] && touch $TMPDIR/ran";
        let watchdog = Watchdog::script_with(text, &[("mode", mode)]);
        let answer = watchdog.call("HEAD", "/", &[], b"");
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        assert!(watchdog.path("ran").exists());
    }
}

/// Differs on purpose: the original held pieces back until there were 4 KiB of them.
#[test]
fn a_piece_is_sent_when_it_is_written_row_98() {
    let watchdog = script("echo one\nwhile [ ! -e $TMPDIR/go ]; do sleep 0.01; done\necho two");
    let mut caller = watchdog.connect();
    caller.send("GET", "/", &[], b"");
    caller.read_past("one\n");
    std::fs::write(watchdog.path("go"), "").unwrap();
    caller.read_past("two\n");
}

/// Differs on purpose: the original lost parts of these bodies, with status 200.
#[test]
fn large_bodies_come_back_whole_rows_99_to_101() {
    let watchdog = streaming("cat");
    for size in [16 << 10, 256 << 10, 1 << 20, 10 << 20] {
        let body: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let mut caller = watchdog.connect();
        assert!(caller.echo(&body, false) == body, "{size} with a length");
        let mut caller = watchdog.connect();
        assert!(caller.echo(&body, true) == body, "{size} chunked");
    }
}

#[test]
fn memory_does_not_grow_with_the_body_row_102() {
    let watchdog = streaming("wc -c");
    watchdog.post(vec![b'x'; 50 << 20]).is(200, "52428800\n");
    let watchdog = streaming("cat");
    let body = vec![b'x'; 50 << 20];
    assert!(watchdog.connect().echo(&body, true) == body);
    assert!(watchdog.memory_kb("VmHWM:") < 20_000);
}

#[test]
fn a_function_may_close_stdin_row_103() {
    let watchdog = script("exec <&-\necho done");
    for _ in 0..10 {
        watchdog.post(vec![b'x'; 1 << 20]).is(200, "done\n");
    }
}

/// Differs on purpose: the original answered when `read_timeout` had passed.
#[test]
fn a_function_that_is_done_does_not_wait_for_the_upload_row_105() {
    let watchdog = Watchdog::with(
        "printf done",
        &[
            ("mode", "streaming"),
            ("read_timeout", "60s"),
            ("write_timeout", "60s"),
        ],
    );
    let mut caller = watchdog.connect();
    caller.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n0123456789");
    caller.answer().is(200, "done");
}

#[test]
fn the_body_is_asked_for_row_106() {
    let watchdog = streaming("cat");
    let mut caller = watchdog.connect();
    caller
        .write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(caller.answer().status, 100);
    caller.write(b"hi");
    caller.answer().is(200, "hi");
}

#[test]
fn words_are_split_at_blanks_row_118() {
    for watchdog in both("printf [%s] 'a b'", &[]) {
        watchdog.get("/").is(200, "['a][b']");
    }
}

/// Differs on purpose: the original waited for what the function had left behind.
#[test]
fn what_runs_on_in_the_background_is_not_waited_for_row_119() {
    for mode in ["streaming", "serializing"] {
        let text = "sleep 60 &\necho $! > $TMPDIR/pid\necho hi";
        let watchdog = Watchdog::script_with(text, &[("mode", mode)]);
        watchdog.get("/").is(200, "hi\n");
        let pid = std::fs::read_to_string(watchdog.path("pid")).unwrap();
        assert!(crate::support::is_running(&pid), "it was not killed");
        let pid = nix::unistd::Pid::from_raw(pid.trim().parse().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    }
}

#[test]
fn the_request_counts_more_than_the_environment_row_120() {
    let variables = [("mode", "streaming"), ("Http_Method", "OLD")];
    let watchdog = Watchdog::with("printenv Http_Method", &variables);
    watchdog.get("/").is(200, "GET\n");
}

#[test]
fn function_process_counts_first_row_123() {
    for watchdog in both("printf one", &[("function_process", "printf two")]) {
        watchdog.get("/").is(200, "two");
    }
}

/// Differs on purpose: an unset mode is classic here, and streaming where the image says so.
#[test]
fn the_mode_of_an_image_row_124() {
    let watchdog = Watchdog::with("cat", &[("watchdog_default_mode", "streaming")]);
    assert_eq!(watchdog.post("a").header("Content-Type"), OCTETS);
    watchdog.wait_for_log("Watchdog mode: streaming\tfprocess: \"cat\"");
    let line = watchdog.wait_for_log("Timeouts: ");
    assert_eq!(line, "read: 30s write: 30s hard: 30s health: 0s");
    wait_until("classic is classic", || {
        Watchdog::start("cat").post("a").header("Content-Type") != OCTETS
    });
}
