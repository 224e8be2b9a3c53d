//! A request as the function will see it, and what is refused before any function sees it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{EXPECT, HOST};
use http::{HeaderMap, Method, Request, StatusCode, Uri, Version};
use http_body::Body as _;
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;

use crate::answer::{self, Response};
use crate::server::HEADER_LIMIT_BYTES;

/// A request's body: a caller's, or nothing where the watchdog asks by itself.
pub(crate) type Body = Either<Incoming, Empty<Bytes>>;

/// What is known of a request once its headers are read.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Decoded; any bytes.
    pub(crate) path: Vec<u8>,
    /// Path and query as received.
    pub(crate) target: String,
    /// As received, without `?`.
    pub(crate) query: String,
    /// The Host header, or the authority of an absolute target.
    pub(crate) host: Vec<u8>,
    pub(crate) headers: HeaderMap,
    /// Bytes of the body; `None` for a chunked one.
    pub(crate) length: Option<u64>,
}

impl Call {
    /// Takes a request apart.
    pub(crate) fn of(request: Request<Body>) -> (Self, Body) {
        let (head, body) = request.into_parts();
        let call = Self {
            path: percent_decode_str(head.uri.path()).collect(),
            target: target(&head.uri),
            query: head.uri.query().unwrap_or_default().to_owned(),
            host: host(&head.uri, &head.headers),
            method: head.method,
            headers: head.headers,
            length: body.size_hint().exact(),
        };
        (call, body)
    }
}

fn target(uri: &Uri) -> String {
    let target = uri.path_and_query();
    target.map_or("/", |target| target.as_str()).to_owned()
}

fn host(uri: &Uri, headers: &HeaderMap) -> Vec<u8> {
    match uri.authority() {
        Some(authority) => {
            let text = authority.as_str();
            let host = text.rsplit_once('@').map_or(text, |(_, host)| host);
            host.as_bytes().to_vec()
        }
        None => headers
            .get(HOST)
            .map_or(Vec::new(), |value| value.as_bytes().to_vec()),
    }
}

/// The answer to a request that no function gets to see. With `raw_paths` functions read paths as they were sent.
pub(crate) fn refuse<B>(request: &Request<B>, raw_paths: bool) -> Option<Response> {
    if head_bytes(request) > HEADER_LIMIT_BYTES {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        let words = "431 Request Header Fields Too Large\n";
        return Some(answer::closing(answer::plain(status, words)));
    }
    let hosts = request.headers().get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Some(answer::malformed("exactly one Host header is required"));
    }
    if request.method() == Method::CONNECT {
        return Some(answer::not_found());
    }
    if request.method() == Method::OPTIONS && request.uri().path() == "*" {
        return Some(answer::empty(StatusCode::OK));
    }
    if !raw_paths && !is_well_escaped(request.uri().path()) {
        return Some(answer::malformed("bad percent-encoding in the path"));
    }
    let expectation = request.headers().get(EXPECT).map(|value| value.as_bytes());
    if expectation.is_some_and(|value| !value.eq_ignore_ascii_case(b"100-continue")) {
        return Some(answer::closing(answer::empty(
            StatusCode::EXPECTATION_FAILED,
        )));
    }
    if raw_paths {
        return None;
    }
    // Compat: paths are cleaned by a redirect, as they always were; functions never see `//`.
    let clean = cleaned(request.uri().path())?;
    let query = request.uri().query();
    let location = query.map_or(clean.clone(), |query| format!("{clean}?{query}"));
    Some(answer::redirect(request.method(), &location))
}

/// Size of the request line and headers. The parser's own limit is only kept to the next size of its buffer.
fn head_bytes<B>(request: &Request<B>) -> usize {
    let target = request.uri().path_and_query();
    let target = target.map_or(0, |target| target.as_str().len());
    let headers = request.headers().iter();
    headers.fold(target, |sum, (name, value)| {
        sum + name.as_str().len() + value.len() + ": \r\n".len()
    })
}

/// Whether every `%` in the path is followed by two hexadecimal digits.
fn is_well_escaped(path: &str) -> bool {
    path.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// The path without empty, `.` and `..` segments, if it has any. Encoded ones are left alone.
fn cleaned(path: &str) -> Option<String> {
    let segments = path.strip_prefix('/').unwrap_or(path).split('/');
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_slash = false;
    for segment in segments {
        ends_in_slash = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            name => kept.push(name),
        }
    }
    let mut clean = format!("/{}", kept.join("/"));
    // The slash at the end stays, and only that: `/a/.` is `/a`.
    if ends_in_slash && path.ends_with('/') && !kept.is_empty() {
        clean.push('/');
    }
    (clean != path).then_some(clean)
}

/// The length of a caller's patience: `X-Remaining-Ms`, a whole number of milliseconds.
pub(crate) fn remaining(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("x-remaining-ms")?.to_str().ok()?;
    let milliseconds = text.trim().parse().ok()?;
    Some(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_they_always_were() {
        for (path, clean) in [
            ("/", None),
            ("/a/b", None),
            ("/a/", None),
            ("/a/b../c", None),
            ("/a%2F..", None),
            ("//a//b", Some("/a/b")),
            ("/a/../b", Some("/b")),
            ("/a/..", Some("/")),
            ("/a/./b/", Some("/a/b/")),
            ("/a/.", Some("/a")),
            ("/../..//", Some("/")),
            ("/a//", Some("/a/")),
        ] {
            assert_eq!(cleaned(path).as_deref(), clean, "{path}");
        }
    }

    #[test]
    fn bad_escapes_are_told() {
        for (path, good) in [
            ("/a%20b", true),
            ("/%zz", false),
            ("/%2", false),
            ("/%", false),
        ] {
            assert_eq!(is_well_escaped(path), good, "{path}");
        }
    }

    #[test]
    fn only_whole_milliseconds_are_a_remaining_time() {
        for (text, milliseconds) in [
            ("250", Some(250)),
            ("0", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("1s", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-remaining-ms", http::HeaderValue::from_static(text));
            let got = remaining(&headers).map(|duration| duration.as_millis());
            assert_eq!(got, milliseconds, "{text}");
        }
    }
}
