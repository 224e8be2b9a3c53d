//! Mode static: files below a directory.

use std::fs;

use crate::support::{TEXT, Watchdog, program, run};

/// A watchdog of a few files in its own directory.
fn files() -> Watchdog {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("public");
    fs::create_dir_all(root.join("sub/deep")).unwrap();
    fs::write(root.join("index.html"), "<p>home").unwrap();
    fs::write(root.join("a.txt"), "abcdef").unwrap();
    fs::write(root.join("page"), "<html>x").unwrap();
    fs::write(root.join("sub/b c.txt"), "b").unwrap();
    let root = root.to_str().unwrap().to_owned();
    let variables = [("mode", "static"), ("static_path", root.as_str())];
    Watchdog::launch(program(), directory, "", &variables)
}

#[test]
fn files_and_directories_row_203() {
    let watchdog = files();
    let answer = watchdog.get("/");
    answer.is(200, "<p>home");
    assert_eq!(
        answer.header("Content-Type"),
        Some("text/html; charset=utf-8")
    );

    let answer = watchdog.get("/a.txt");
    answer.is(200, "abcdef");
    assert_eq!(answer.header("Content-Type"), Some(TEXT));
    assert_eq!(answer.header("Content-Length"), Some("6"));
    assert!(answer.header("Last-Modified").is_some());
    assert_eq!(answer.header("X-Duration-Seconds"), None);

    let answer = watchdog.get("/page");
    answer.is(200, "<html>x");
    assert_eq!(
        answer.header("Content-Type"),
        Some("text/html; charset=utf-8")
    );

    let answer = watchdog.get("/sub/");
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .text()
            .contains("<a href=\"./b%20c.txt\">b c.txt</a>")
    );
    assert!(answer.text().contains("<a href=\"./deep/\">deep/</a>"));
    watchdog.get("/sub/b%20c.txt").is(200, "b");

    for (path, location) in [
        ("/sub", "sub/"),
        ("/sub?q=1", "sub/?q=1"),
        ("/sub/deep", "deep/"),
        ("/index.html", "./"),
        ("/a.txt/", "../a.txt"),
    ] {
        let answer = watchdog.get(path);
        assert_eq!(answer.status, 301, "{path}");
        assert_eq!(answer.header("Location"), Some(location), "{path}");
    }

    for path in ["/nope", "/a.txt/b", "/sub/nope/"] {
        let answer = watchdog.get(path);
        answer.is(404, "404 page not found\n");
        assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
    }
}

#[test]
fn parts_and_conditions_row_204() {
    let watchdog = files();
    let answer = watchdog.call("GET", "/a.txt", &["Range: bytes=5-"], b"");
    answer.is(206, "f");
    assert_eq!(answer.header("Content-Range"), Some("bytes 5-5/6"));
    assert_eq!(
        watchdog
            .call("GET", "/a.txt", &["Range: bytes=9-"], b"")
            .status,
        416
    );
    let answer = watchdog.call("GET", "/a.txt", &["Range: bytes=0-1,3-4"], b"");
    answer.is(200, "abcdef");

    let answer = watchdog.call("HEAD", "/a.txt", &[], b"");
    answer.is(200, "");
    assert_eq!(answer.header("Content-Length"), Some("6"));
    for method in ["POST", "DELETE", "FOO"] {
        watchdog.call(method, "/a.txt", &[], b"").is(200, "abcdef");
    }

    let modified = watchdog.get("/a.txt");
    let modified = modified.header("Last-Modified").unwrap();
    let condition = format!("If-Modified-Since: {modified}");
    watchdog
        .call("GET", "/a.txt", &[&condition], b"")
        .is(304, "");
}

#[test]
fn no_path_leads_out_row_205() {
    let watchdog = files();
    for path in [
        "/%2e%2e/.lock",
        "/sub/%2e%2e/%2e%2e/.lock",
        "/..%2f.lock",
        "/%2e%2e/tmp/.lock",
    ] {
        assert_eq!(watchdog.get(path).status, 404, "{path}");
    }
    let variables = [("mode", "static"), ("static_path", "/no/such/directory")];
    let watchdog = Watchdog::with("", &variables);
    watchdog.get("/").is(404, "404 page not found\n");
    assert!(!watchdog.log().contains("GET /"), "there is no access line");
}

#[test]
fn a_directory_is_required_row_206() {
    let end = run(&[], &[("mode", "static"), ("static_path", "")]);
    assert_eq!(end.status.code(), Some(1));
    assert!(end.stderr.contains("static_path"));
}

#[test]
fn a_large_file_is_not_read_into_memory() {
    let watchdog = files();
    let body = vec![b'x'; 50 << 20];
    fs::write(watchdog.path("public/large"), &body).unwrap();
    assert!(watchdog.get("/large").body == body);
    assert!(watchdog.memory_kb("VmHWM:") < 20_000);
}
