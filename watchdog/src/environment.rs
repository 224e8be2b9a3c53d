//! The request as environment variables, byte for byte: names in canonical case, first values only.

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue};

use crate::config::Mode;
use crate::request::Call;

/// The variables that describe a call, each as `NAME=value`. No name repeats.
pub(crate) fn of(call: &Call, mode: Mode) -> Vec<Vec<u8>> {
    let mut variables = Variables(Vec::with_capacity(call.headers.len() + 8));
    for name in call.headers.keys().filter(|name| !is_special(name)) {
        let value = call
            .headers
            .get(name)
            .map_or(&b""[..], HeaderValue::as_bytes);
        variables.set(&canonical(name.as_str()).replace('-', "_"), value);
    }
    if mode.is_classic() {
        let length = call.length.map_or(-1, u64::cast_signed).to_string();
        variables.set("ContentLength", length.as_bytes());
        variables.set("Content_Length", length.as_bytes());
    } else if let Some(length) = call.headers.get(CONTENT_LENGTH) {
        variables.set("Content_Length", length.as_bytes());
    }
    if call.length.is_none() {
        variables.set("Transfer_Encoding", b"chunked");
    }
    variables.set("Method", call.method.as_str().as_bytes());
    if !call.query.is_empty() {
        variables.set("Query", call.query.as_bytes());
    }
    variables.set("Path", &call.path);
    if mode.is_classic() && !call.host.is_empty() {
        variables.set("Host", &call.host);
    }
    variables.0
}

struct Variables(Vec<Vec<u8>>);

impl Variables {
    /// Sets `Http_NAME`. Of headers whose names differ in `-` and `_` only, the last one counts.
    fn set(&mut self, name: &str, value: &[u8]) {
        // Room for the end that the kernel wants to see.
        let mut variable = Vec::with_capacity("Http_".len() + name.len() + value.len() + 2);
        for part in ["Http_", name, "="] {
            variable.extend_from_slice(part.as_bytes());
        }
        let set = self.0.iter_mut().find(|set| set.starts_with(&variable));
        variable.extend_from_slice(value);
        match set {
            Some(set) => *set = variable,
            None => self.0.push(variable),
        }
    }
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
