//! `marshal_request`: the request as JSON, whose body may be any size and so is not built in memory.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::{HOST, TRANSFER_ENCODING};
use serde_json::Value;

use crate::environment::canonical;

/// What follows the body.
pub(super) const AFTER: &[u8] = b"\"}}";

/// Everything before the body, which follows in base64.
pub(super) fn before(headers: &HeaderMap) -> Vec<u8> {
    let all: BTreeMap<String, Vec<String>> = headers
        .keys()
        .filter(|name| **name != HOST && **name != TRANSFER_ENCODING)
        .map(|name| (canonical(name.as_str()), values(headers, name)))
        .collect();
    let json = escaped(&Value::from_iter(all).to_string());
    format!("{{\"header\":{json},\"body\":{{\"raw\":\"").into_bytes()
}

fn values(headers: &HeaderMap, name: &http::HeaderName) -> Vec<String> {
    let all = headers.get_all(name).iter();
    all.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect()
}

// Compat: these characters have always been written as escapes; outside strings JSON has none of them.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn headers_are_sorted_whole_and_escaped() {
        let mut headers = HeaderMap::new();
        headers.append("x-b", "<&>".parse().unwrap());
        headers.append("x-a", "1".parse().unwrap());
        headers.append("x-a", "1b".parse().unwrap());
        headers.append("host", "h".parse().unwrap());
        let text = String::from_utf8(before(&headers)).unwrap();
        assert_eq!(
            text,
            r#"{"header":{"X-A":["1","1b"],"X-B":["\u003c\u0026\u003e"]},"body":{"raw":""#
        );
    }
}
