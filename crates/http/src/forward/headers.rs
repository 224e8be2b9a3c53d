//! What a forwarder changes in headers, and nothing else (RFC 9110, section 7.6).

use std::net::IpAddr;
use std::time::Duration;

use http::header::{
    CONNECTION, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

/// The milliseconds that are left for a call, lowered by every hop. Ours.
pub const REMAINING_MS: HeaderName = HeaderName::from_static("x-remaining-ms");
/// The addresses a call came through. A list, without ports.
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The host that the caller asked.
pub const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// The scheme that the caller used.
pub const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// What is meant for one connection only.
const HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Removes what is meant for one connection only, `Connection`'s own list included.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // Most have none of them: one look is cheaper than seven searches.
    if !headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect();
    for name in HOP_BY_HOP.into_iter().chain(named) {
        headers.remove(name);
    }
}

/// Turns the headers of a request that came in into those of the request that goes out, now or later.
pub fn for_upstream(headers: &mut HeaderMap, peer: Option<IpAddr>, keep_host: bool) {
    let trailers = headers
        .get_all(TE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"));
    strip_hop_by_hop(headers);
    headers.remove(TE);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    // Our side has already said `100 Continue` by reading the body.
    headers.remove(EXPECT);
    if !keep_host {
        tell_host(headers);
    }
    if let Some(peer) = peer {
        append_forwarded_for(headers, peer);
    }
}

/// `Host` will be the upstream's own; what the caller asked is told beside it.
fn tell_host(headers: &mut HeaderMap) {
    if let Some(host) = headers.remove(HOST) {
        headers.entry(FORWARDED_HOST).or_insert(host);
    }
    headers
        .entry(FORWARDED_PROTO)
        .or_insert(HeaderValue::from_static("http"));
}

/// Turns the headers of the upstream's response into those of ours.
pub(super) fn for_caller(headers: &mut HeaderMap) {
    let trailer = headers.get(TRAILER).cloned();
    strip_hop_by_hop(headers);
    if let Some(trailer) = trailer {
        headers.insert(TRAILER, trailer);
    }
}

fn append_forwarded_for(headers: &mut HeaderMap, peer: IpAddr) {
    let mut list = Vec::new();
    for value in headers.get_all(FORWARDED_FOR) {
        list.extend_from_slice(value.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(peer.to_string().as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&list) {
        headers.insert(FORWARDED_FOR, value);
    }
}

/// The smaller of what the caller says is left and our own limit. Garbage from outside counts as unsaid.
pub(super) fn remaining(headers: &HeaderMap, limit: Option<Duration>) -> Option<Duration> {
    let said = headers
        .get(REMAINING_MS)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.trim().parse().ok())
        .map(Duration::from_millis);
    match (said, limit) {
        (Some(said), Some(limit)) => Some(said.min(limit)),
        (said, limit) => said.or(limit),
    }
}

/// Tells the upstream what is left.
pub(super) fn set_remaining(headers: &mut HeaderMap, left: Option<Duration>) {
    match left {
        Some(left) => {
            let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            headers.insert(REMAINING_MS, HeaderValue::from(millis));
        }
        None => {
            headers.remove(REMAINING_MS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        let mut headers = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            headers.append(name, value);
        });
        headers
    }

    #[test]
    fn what_belongs_to_one_connection_stays_there() {
        let mut headers = map(&[
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("te", "deflate;q=0.5, trailers"),
            ("proxy-authorization", "x"),
            ("authorization", "kept"),
            ("content-length", "5"),
        ]);
        for_upstream(&mut headers, None, false);
        assert_eq!(
            headers,
            map(&[
                ("authorization", "kept"),
                ("content-length", "5"),
                ("te", "trailers"),
                ("x-forwarded-proto", "http")
            ])
        );
    }

    #[test]
    fn the_peer_is_appended_without_its_port() {
        let mut headers = map(&[
            ("x-forwarded-for", "10.0.0.9"),
            ("x-forwarded-for", "10.0.0.8"),
            ("host", "fn.example"),
        ]);
        for_upstream(&mut headers, Some(IpAddr::from([127, 0, 0, 1])), false);
        assert_eq!(headers[FORWARDED_FOR], "10.0.0.9, 10.0.0.8, 127.0.0.1");
        assert_eq!(headers[FORWARDED_HOST], "fn.example");
        assert!(!headers.contains_key(HOST));
    }

    #[test]
    fn a_hop_that_keeps_the_host_tells_nothing_else_of_it() {
        let mut headers = map(&[("host", "fn.example:99")]);
        for_upstream(&mut headers, Some(IpAddr::from([127, 0, 0, 1])), true);
        let expected = map(&[("host", "fn.example:99"), ("x-forwarded-for", "127.0.0.1")]);
        assert_eq!(headers, expected);
    }

    #[test]
    fn no_hop_raises_what_is_left() {
        let said = |text| map(&[("x-remaining-ms", text)]);
        let second = Some(Duration::from_secs(1));
        assert_eq!(
            remaining(&said("250"), second),
            Some(Duration::from_millis(250))
        );
        assert_eq!(remaining(&said("5000"), second), second);
        assert_eq!(remaining(&said("soon"), second), second);
        assert_eq!(
            remaining(&said("250"), None),
            Some(Duration::from_millis(250))
        );
        assert_eq!(remaining(&HeaderMap::new(), None), None);
    }
}
