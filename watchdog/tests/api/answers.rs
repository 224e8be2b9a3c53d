//! What a function's end, output and request make of the answer.

use crate::support::{TEXT, Watchdog};

#[test]
fn an_output_is_the_answer_row_1() {
    let answer = Watchdog::start("cat").call("POST", "/", &["X-Call-Id: c-1"], b"hello");
    answer.is(200, "hello");
    assert_eq!(answer.header("Content-Type"), Some(TEXT));
    assert_eq!(answer.header("Content-Length"), Some("5"));
    assert_eq!(answer.header("X-Call-Id"), None);
    assert!(answer.header("Date").is_some());
    let (whole, fraction) = answer
        .header("X-Duration-Seconds")
        .and_then(|seconds| seconds.split_once('.'))
        .unwrap();
    assert!(whole.parse::<u32>().is_ok() && fraction.len() == 6);
}

#[test]
fn content_types_of_successes_rows_2_3_4() {
    let json = ["Content-Type: application/json"];
    let plain = Watchdog::start("cat");
    let answer = plain.call("POST", "/", &json, b"{}");
    assert_eq!(answer.header("Content-Type"), Some("application/json"));

    let answer = plain.post("");
    answer.is(200, "");
    assert_eq!(answer.header("Content-Length"), Some("0"));
    assert_eq!(answer.header("Content-Type"), None);
    assert!(answer.header("X-Duration-Seconds").is_some());

    let configured = Watchdog::with("cat", &[("content_type", "image/jpeg")]);
    let answer = configured.call("POST", "/", &json, b"{}");
    assert_eq!(answer.header("Content-Type"), Some("image/jpeg"));
}

#[test]
fn every_method_of_a_function_works_rows_5_6() {
    Watchdog::start("wc -c").get("/").is(200, "0\n");
    let cat = Watchdog::start("cat");
    for method in ["PUT", "PATCH", "DELETE"] {
        cat.call(method, "/", &[], b"b").is(200, "b");
    }
}

#[test]
fn other_methods_are_not_allowed_row_7() {
    let watchdog = Watchdog::start("cat");
    for method in ["HEAD", "OPTIONS", "TRACE", "FOO", "post"] {
        let answer = watchdog.call(method, "/", &[], b"");
        answer.is(405, "");
        assert_eq!(answer.header("Allow"), None, "{method}");
        assert_eq!(answer.header("X-Openfaas-Internal"), Some("of-watchdog"));
        assert_eq!(answer.header("X-Duration-Seconds"), None, "{method}");
        let length = (method != "HEAD").then_some("0");
        assert_eq!(answer.header("Content-Length"), length, "{method}");
    }
    assert!(!watchdog.log().contains("Forking"));
}

#[test]
fn a_bad_end_is_told_with_the_output_rows_29_30_34_35() {
    let json = ["Content-Type: application/json"];
    for (script, body) in [
        (
            "echo out; echo err >&2; exit 1",
            "exit status 1\nout\nerr\n",
        ),
        ("exit 3", "exit status 3\n"),
        (
            "printf 'partial output'; kill -9 $$",
            "signal: killed\npartial output",
        ),
        (
            "printf 'partial output'; exit 3",
            "exit status 3\npartial output",
        ),
        ("kill -TERM $$", "signal: terminated\n"),
    ] {
        let watchdog = Watchdog::script(script);
        let answer = watchdog.call("POST", "/", &json, b"x");
        answer.is(500, body);
        assert_eq!(answer.header("Content-Type"), Some(TEXT));
        assert_eq!(answer.header("X-Duration-Seconds"), None);
        // It is the function's own failure.
        assert_eq!(answer.header("X-Openfaas-Internal"), None);
        watchdog.wait_for_log("Success=false, Error=");
    }
}

#[test]
fn stderr_is_part_of_the_answer_in_order_row_31() {
    Watchdog::script("echo out; echo err >&2; echo more")
        .get("/")
        .is(200, "out\nerr\nmore\n");
}

#[test]
fn stderr_goes_to_the_log_where_asked_rows_32_33() {
    let apart = [("combine_output", "false")];
    let watchdog = Watchdog::script_with("echo out; echo err >&2", &apart);
    watchdog.get("/").is(200, "out\n");
    assert_eq!(watchdog.wait_for_log("stderr: "), "err");

    let watchdog = Watchdog::script_with("echo out; echo err >&2; exit 2", &apart);
    watchdog.get("/").is(500, "exit status 2\nout\n");
    assert_eq!(watchdog.wait_for_log("stderr: "), "err");
}

#[test]
fn long_stderr_is_logged_whole_in_bounded_lines() {
    let script = "head -c 300000 /dev/zero | tr '\\0' x >&2; echo; echo end >&2";
    let watchdog = Watchdog::script_with(script, &[("combine_output", "false")]);
    watchdog.get("/").is(200, "\n");
    watchdog.wait_for_log("end");
    let log = watchdog.log();
    assert_eq!(
        log.matches('x').count() - log.matches("text").count(),
        300_000 + x_elsewhere(&log)
    );
    assert!(log.lines().all(|line| line.len() < 131_200));
}

/// The letter counted above in lines that are not the function's.
fn x_elsewhere(log: &str) -> usize {
    let own = log.lines().filter(|line| !line.contains("stderr: "));
    own.map(|line| line.matches('x').count()).sum()
}

#[test]
fn long_outputs_are_chunked_row_48() {
    let answer = Watchdog::start("head -c 2048 /dev/zero").get("/");
    assert_eq!(answer.header("Content-Length"), Some("2048"));
    let answer = Watchdog::start("head -c 2049 /dev/zero").get("/");
    assert_eq!(answer.header("Transfer-Encoding"), Some("chunked"));
    assert_eq!((answer.status, answer.body.len()), (200, 2049));
}

#[test]
fn all_bytes_come_through_row_49() {
    let bytes: Vec<u8> = (0..=255).collect();
    let answer = Watchdog::start("cat").post(&bytes);
    assert_eq!(answer.body, bytes);
    assert_eq!(
        answer.header("Content-Type"),
        Some("application/octet-stream")
    );
}

#[test]
fn types_are_guessed_rows_50_51_52_53() {
    let watchdog = Watchdog::start("cat");
    let cases: [(&[u8], &str); 15] = [
        (b"<html><body>hi", "text/html; charset=utf-8"),
        (b"\n\n<!DOCTYPE HTML>x", "text/html; charset=utf-8"),
        (b"{\"a\":1}", TEXT),
        ("äöü".as_bytes(), TEXT),
        (b"\xef\xbb\xbftext", TEXT),
        (b"\x1b[1mbold", TEXT),
        (b"<?xml version=\"1.0\"?>", "text/xml; charset=utf-8"),
        (b"\x89PNG\x0d\x0a\x1a\x0a", "image/png"),
        (b"GIF89a", "image/gif"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"%PDF-1.7", "application/pdf"),
        (b"\x1f\x8b\x08\x00", "application/x-gzip"),
        (b"PK\x03\x04", "application/zip"),
        (b"a\x01b", "application/octet-stream"),
        (b"plain", TEXT),
    ];
    for (body, expected) in cases {
        let answer = watchdog.post(body);
        assert_eq!(answer.header("Content-Type"), Some(expected), "{body:?}");
    }
}

#[test]
fn the_type_of_a_large_output_is_guessed_too() {
    let mut page = b"<html>".to_vec();
    page.resize(3_000_000, b' ');
    let answer = Watchdog::start("cat").post(&page);
    assert_eq!(
        answer.header("Content-Type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(answer.body, page);
}

#[test]
fn calls_at_once_get_their_own_answers_row_81() {
    let watchdog = Watchdog::start("cat");
    std::thread::scope(|scope| {
        for number in 0..20 {
            let watchdog = &watchdog;
            scope.spawn(move || {
                let body = format!("body {number}");
                watchdog.post(&body).is(200, &body);
            });
        }
    });
}

#[test]
fn what_a_call_writes_to_the_log_row_59() {
    let watchdog = Watchdog::start("cat");
    watchdog.post("12345").is(200, "12345");
    let rest = watchdog.wait_for_log("Wrote 5 Bytes - Duration: ");
    assert!(rest.ends_with('s') && rest.split_once('.').unwrap().1.len() == 7);
    // Readers of the log strip these characters and look for the texts.
    let bare = |line: &str| {
        line.trim_start_matches(|c| "0123456789/: ".contains(c))
            .to_owned()
    };
    let lines: Vec<_> = watchdog.log().lines().map(bare).collect();
    assert!(lines.contains(&"Forking fprocess.".to_owned()));
}
