//! The request as environment variables, byte for byte: names in canonical case, first values only.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName};

use crate::config::Mode;
use crate::request::Call;

/// The variables that describe a call, in an order in which the later one counts.
pub(crate) fn of(call: &Call, mode: Mode) -> Vec<(OsString, OsString)> {
    let mut variables: Vec<_> = call
        .headers
        .keys()
        .filter(|name| !is_special(name))
        .filter_map(|name| header(&call.headers, name))
        .collect();
    let mut set = |name: &str, value: &[u8]| {
        variables.push((name.into(), OsStr::from_bytes(value).to_owned()));
    };

    if mode.is_classic() {
        let length = call.length.map_or(-1, u64::cast_signed).to_string();
        set("Http_ContentLength", length.as_bytes());
        set("Http_Content_Length", length.as_bytes());
    } else if let Some(length) = call.headers.get(CONTENT_LENGTH) {
        set("Http_Content_Length", length.as_bytes());
    }
    if call.length.is_none() {
        set("Http_Transfer_Encoding", b"chunked");
    }
    set("Http_Method", call.method.as_str().as_bytes());
    if !call.query.is_empty() {
        set("Http_Query", call.query.as_bytes());
    }
    set("Http_Path", &call.path);
    if mode.is_classic() && !call.host.is_empty() {
        set("Http_Host", &call.host);
    }
    variables
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<(OsString, OsString)> {
    let value = headers.get(name)?.as_bytes().to_vec();
    let name = format!("Http_{}", canonical(name.as_str()).replace('-', "_"));
    Some((name.into(), OsString::from_vec(value)))
}

/// Headers that have variables of their own, or that could pass for one: a `Query` header is not the query.
fn is_special(name: &HeaderName) -> bool {
    [HOST, TRANSFER_ENCODING, CONTENT_LENGTH].contains(name)
        || ["method", "path", "query"].contains(&name.as_str())
}

/// The canonical form of a header name: `x-FOO-bar` is `X-Foo-Bar`.
pub(crate) fn canonical(name: &str) -> String {
    let mut start = true;
    name.chars()
        .map(|letter| {
            let written = if start {
                letter.to_ascii_uppercase()
            } else {
                letter.to_ascii_lowercase()
            };
            start = letter == '-';
            written
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_their_canonical_case() {
        for (name, expected) in [
            ("x-foo-bar", "X-Foo-Bar"),
            ("X-API-KEY", "X-Api-Key"),
            ("my_header", "My_header"),
            ("ETag", "Etag"),
            ("x--y", "X--Y"),
            ("1-a", "1-A"),
        ] {
            assert_eq!(canonical(name), expected);
        }
    }
}
