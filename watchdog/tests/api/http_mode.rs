//! Mode http: what the function sees of a request, and the caller of an answer.

use std::fs;
use std::path::Path;

use crate::caller::Answer;
use crate::support::{Watchdog, free_port, program, wait_until};

/// A watchdog before a function that is a server; tests choose what it does by the path.
pub(crate) fn http(variables: &[(&str, &str)]) -> Watchdog {
    let watchdog = starting(variables);
    wait_until("the function listens", || {
        watchdog.get("/_/ready").status != 503
    });
    watchdog
}

/// The same, whether the function listens yet or not. `PORT` in a variable is the function's port.
pub(crate) fn starting(variables: &[(&str, &str)]) -> Watchdog {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("upstream.py");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/http_mode_upstream.py");
    fs::copy(source, &script).unwrap();
    let port = free_port().to_string();
    let url = format!("http://127.0.0.1:{port}");
    let mut all = vec![("mode", "http".to_owned()), ("upstream_url", url)];
    all.extend(
        variables
            .iter()
            .map(|(name, value)| (*name, value.replace("PORT", &port))),
    );
    let all: Vec<_> = all
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let fprocess = format!("python3 {} {port}", script.display());
    Watchdog::launch(program(), directory, &fprocess, &all)
}

/// Lets the function go on.
pub(crate) fn allow(watchdog: &Watchdog, what: &str) {
    fs::write(watchdog.path(what), "").unwrap();
}

/// Asserts what callers get when the function did not answer.
#[track_caller]
pub(crate) fn is_fault(answer: &Answer, status: u16) {
    is_late(answer, status, "");
    assert_eq!(answer.header("Content-Length"), Some("0"));
}

/// The same with these words.
#[track_caller]
pub(crate) fn is_late(answer: &Answer, status: u16, words: &str) {
    answer.is(status, words);
    assert_eq!(answer.header("X-Openfaas-Internal"), Some("of-watchdog"));
    assert!(answer.header("X-Duration-Seconds").is_some());
}

/// Differs on purpose: `X-Forwarded-For` is appended, as by every hop.
#[test]
fn the_function_sees_the_request_as_it_was_sent_row_132() {
    let watchdog = http(&[]);
    let request = "POST /dump/a%20b%2Fc?q=1&r=%20 HTTP/1.1\r\nHost: fn.example:99\r\nX-Foo-Bar: one\r\n\
                   X-Foo-Bar: two\r\nX-Call-Id: c-1\r\nContent-Length: 2\r\n\r\nhi";
    let answer = watchdog.raw(request);
    let seen = answer.text();
    assert!(
        seen.starts_with("POST /dump/a%20b%2Fc?q=1&r=%20 HTTP/1.1\r\n"),
        "{seen}"
    );
    for header in [
        "Host: fn.example:99",
        "X-Foo-Bar: one",
        "X-Foo-Bar: two",
        "X-Call-Id: c-1",
        "X-Forwarded-For: 127.0.0.1",
    ] {
        assert!(
            seen.contains(&format!("\r\n{header}\r\n")),
            "{header}: {seen}"
        );
    }
    for header in ["X-Forwarded-Host", "X-Forwarded-Proto"] {
        assert!(!seen.contains(header), "{header}: {seen}");
    }
    assert!(seen.ends_with("\n\nhi"), "{seen}");
    assert_eq!(answer.header("Content-Type"), Some("text/x-test"));
    let seconds = answer.header("X-Duration-Seconds").unwrap();
    assert_eq!(seconds.split_once('.').unwrap().1.len(), 6);
}

#[test]
fn targets_pass_byte_for_byte_row_133() {
    let watchdog = http(&[]);
    for target in ["/dump/%7Ea%2fb%E4?x=%2F&y=a+b", "/dump?"] {
        let seen = watchdog.get(target).text();
        assert!(
            seen.starts_with(&format!("GET {target} HTTP/1.1\r\n")),
            "{seen}"
        );
    }
}

/// Differs on purpose: paths were cleaned by a redirect, escapes were checked.
#[test]
fn odd_paths_pass_as_well_row_179() {
    let watchdog = http(&[]);
    for target in ["//dump", "/a/../b", "/%zz"] {
        let seen = watchdog.get(target).text();
        assert!(
            seen.starts_with(&format!("GET {target} HTTP/1.1\r\n")),
            "{seen}"
        );
    }
}

/// Differs on purpose: the length was dropped, all bodies were sent in chunks.
#[test]
fn a_length_stays_a_length_row_134() {
    let watchdog = http(&[]);
    let seen = watchdog.post("hello").text();
    assert!(seen.contains("\r\nContent-Length: 5\r\n"), "{seen}");
    assert!(!seen.contains("Transfer-Encoding"), "{seen}");
}

/// Differs on purpose: the option is there for servers that cannot take chunks, and did not help them.
#[test]
fn a_buffered_body_has_a_length_row_135() {
    let chunked =
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let seen = http(&[]).raw(chunked).text();
    assert!(
        seen.contains("\r\nTransfer-Encoding: chunked\r\n"),
        "{seen}"
    );
    for name in ["http_buffer_req_body", "buffer_http"] {
        let watchdog = http(&[(name, "true")]);
        let seen = watchdog.raw(chunked).text();
        assert!(seen.contains("\r\nContent-Length: 5\r\n"), "{seen}");
        assert!(!seen.contains("Transfer-Encoding"), "{seen}");
        assert!(seen.ends_with("\n\nhello"), "{seen}");
        let big = "b".repeat(3_000_000);
        assert!(watchdog.post(&big).text().ends_with(&big));
        assert!(watchdog.get("/dump").text().ends_with("\n\n"));
    }
}

#[test]
fn bodies_may_be_missing_empty_or_unusual_row_136() {
    let watchdog = http(&[]);
    let seen = watchdog.get("/").text();
    assert!(
        !seen.contains("Content-Length") && !seen.contains("Transfer-Encoding"),
        "{seen}"
    );
    assert!(
        watchdog
            .post("")
            .text()
            .contains("\r\nContent-Length: 0\r\n")
    );
    for method in ["DELETE", "GET"] {
        let seen = watchdog.call(method, "/", &[], b"body").text();
        assert!(
            seen.contains("\r\nContent-Length: 4\r\n") && seen.ends_with("\n\nbody"),
            "{seen}"
        );
    }
}

/// Differs on purpose: nothing is added that the caller did not send.
#[test]
fn no_header_is_made_up_row_137_138() {
    let watchdog = http(&[]);
    let seen = watchdog.get("/").text();
    assert!(
        !seen.contains("User-Agent") && !seen.contains("Accept-Encoding"),
        "{seen}"
    );
    let headers = ["User-Agent: mine/1", "Accept-Encoding: br"];
    let seen = watchdog.call("GET", "/", &headers, b"").text();
    assert!(headers.iter().all(|header| seen.contains(header)), "{seen}");
}

/// Differs on purpose: what is meant for one connection only was passed on, except on the way of event streams.
#[test]
fn hop_by_hop_headers_stay_behind_row_139_152() {
    let watchdog = http(&[]);
    let headers = [
        "Accept: text/event-stream",
        "Connection: x-hop",
        "Keep-Alive: timeout=5",
        "X-Hop: 1",
        "X-Forwarded-For: 10.0.0.9",
    ];
    let seen = watchdog.call("POST", "/dump", &headers, b"a").text();
    for name in ["Connection", "Keep-Alive", "X-Hop", "User-Agent"] {
        assert!(!seen.contains(name), "{name}: {seen}");
    }
    assert!(
        seen.contains("\r\nX-Forwarded-For: 10.0.0.9, 127.0.0.1\r\n"),
        "{seen}"
    );
    assert!(seen.contains("\r\nContent-Length: 1\r\n"), "{seen}");
}

#[test]
fn every_method_passes_row_140() {
    let watchdog = http(&[]);
    for method in ["PUT", "PATCH", "OPTIONS", "TRACE", "FOO"] {
        let seen = watchdog.call(method, "/dump", &[], b"").text();
        assert!(seen.starts_with(&format!("{method} /dump ")), "{seen}");
    }
    let head = watchdog.call("HEAD", "/status/200", &[], b"");
    assert_eq!(head.header("Content-Length"), Some("3"));
}

#[test]
fn answers_of_the_function_are_its_own_row_141_143() {
    let watchdog = http(&[]);
    for status in [201, 400, 404, 418, 500, 503, 302] {
        let answer = watchdog.get(&format!("/status/{status}"));
        answer.is(status, &status.to_string());
        assert_eq!(answer.header("X-Is"), Some("function"));
        assert_eq!(answer.header("Location"), Some("/elsewhere"));
        assert!(answer.header("X-Duration-Seconds").is_some());
        assert_eq!(answer.header("X-Openfaas-Internal"), None);
    }
}

#[test]
fn answers_without_body_stay_without_row_142() {
    let watchdog = http(&[]);
    for status in [204, 304] {
        let mut caller = watchdog.connect();
        for _ in 0..2 {
            caller.send("HEAD", &format!("/status/{status}"), &[], b"");
            let answer = caller.answer();
            answer.is(status, "");
            for name in ["Content-Length", "Content-Type", "Transfer-Encoding"] {
                assert_eq!(answer.header(name), None, "{name}");
            }
        }
    }
}

/// Differs on purpose: `Keep-Alive` is meant for one connection, too.
#[test]
fn headers_of_an_answer_are_kept_row_144_145() {
    let watchdog = http(&[]);
    let mut caller = watchdog.connect();
    for _ in 0..2 {
        caller.send("GET", "/special", &[], b"");
        let answer = caller.answer();
        let all = |name: &str| {
            let found = answer.headers.iter().filter(|(known, _)| known == name);
            found.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        assert_eq!(all("Set-Cookie"), ["a=1", "b=2"]);
        assert_eq!(all("X-Dup"), ["1", "2"]);
        assert_eq!(
            (all("Server"), all("Date")),
            (vec!["mine".into()], vec!["then".into()])
        );
        assert_eq!(all("Connection"), [""; 0]);
        let seconds = all("X-Duration-Seconds");
        assert!(seconds.len() == 1 && seconds[0] != "99", "{seconds:?}");
    }
}

#[test]
fn a_missing_type_is_guessed_row_146() {
    let watchdog = http(&[]);
    let answer = watchdog.get("/untyped");
    answer.is(200, "<html><body>hi");
    assert_eq!(
        answer.header("Content-Type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(answer.header("Content-Length"), Some("14"));
}

/// Differs on purpose: nothing was asked for in the caller's name, so nothing is unpacked.
#[test]
fn packed_answers_stay_packed_row_147() {
    let answer = http(&[]).get("/packed");
    assert_eq!(answer.header("Content-Encoding"), Some("gzip"));
    assert_eq!(answer.header("Content-Type"), None);
    assert_eq!(answer.body, b"\x1f\x8b packed");
}

/// Differs on purpose: trailers are for the caller. Early hints are not passed on.
#[test]
fn trailers_pass_and_bodies_until_close_are_whole_row_153() {
    let watchdog = http(&[]);
    let mut caller = watchdog.connect();
    caller.send("GET", "/trailers", &["TE: trailers"], b"");
    caller.read_past("HTTP/1.1 200 OK\r\n");
    caller.read_past("\r\n\r\n1\r\na\r\n0\r\n");
    caller.read_past("97\r\n\r\n");
    watchdog.get("/until_close").is(200, "the whole");
}

/// Differs on purpose: the path of the URL counts for streams, too, and a slash at its end is no second slash.
#[test]
fn the_path_of_the_url_is_put_in_front_row_175_176() {
    for (path, expected) in [
        ("/dump", "/dump/x?y=1"),
        ("/dump/", "/dump/x?y=1"),
        ("/", "/x?y=1"),
    ] {
        let url = format!("http://127.0.0.1:PORT{path}");
        let watchdog = http(&[("upstream_url", &url)]);
        for accept in ["Accept: */*", "Accept: text/event-stream"] {
            let seen = watchdog.call("GET", "/x?y=1", &[accept], b"").text();
            assert!(
                seen.starts_with(&format!("GET {expected} ")),
                "{path}: {seen}"
            );
        }
    }
}

#[test]
fn one_of_two_urls_counts_row_177() {
    let watchdog = http(&[
        ("http_upstream_url", "http://127.0.0.1:PORT/dump/a"),
        ("upstream_url", "http://127.0.0.1:9/b"),
    ]);
    assert!(watchdog.get("/").text().starts_with("GET /dump/a/ "));
}

/// Differs on purpose: the original made an unusable URL of it.
#[test]
fn an_absolute_target_is_its_path_row_178() {
    let seen = http(&[])
        .raw("GET http://x.example/dump?a=1 HTTP/1.1\r\nHost: other\r\n\r\n")
        .text();
    assert!(seen.starts_with("GET /dump?a=1 HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("\r\nHost: x.example\r\n"), "{seen}");
}

#[test]
fn targets_without_a_path_are_not_for_functions_row_180() {
    let watchdog = http(&[]);
    watchdog
        .raw("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")
        .is(200, "");
    let connect = watchdog.raw("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n");
    connect.is(404, "404 page not found\n");
}

#[test]
fn connections_to_the_function_are_kept_but_not_for_long_row_197() {
    let watchdog = http(&[]);
    let connection = || watchdog.get("/connection").text();
    let first = connection();
    assert_eq!(connection(), first);
    // Idle for longer than 0.5 s: the one wait by the clock, since the clock is what is tried.
    std::thread::sleep(std::time::Duration::from_millis(900));
    assert_ne!(connection(), first);
}

#[test]
fn large_headers_and_odd_bytes_pass_row_200() {
    let watchdog = http(&[]);
    let mut request =
        b"GET /head_sizes HTTP/1.1\r\nHost: h\r\nX-Raw: a\xff\xe9b\r\nX-Big: ".to_vec();
    request.extend(vec![b'x'; 900_000]);
    request.extend(b"\r\n\r\n");
    watchdog.raw(request).is(200, "900000 'aÿéb'");
}
