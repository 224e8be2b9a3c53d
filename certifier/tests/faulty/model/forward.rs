//! What a call goes through on its way to the function.

use std::net::SocketAddr;

use hyper::HeaderMap;
use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, LOCATION, TE,
    UPGRADE, USER_AGENT,
};
use percent_encoding::percent_decode_str;

use super::Model;
use super::answer::{Answer, empty, set};
use super::call::nanoseconds;
use crate::switch::Switch;

/// What concerns one connection only (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The path after the function's name, as it was sent.
pub(crate) fn path(model: &Model, path: &str) -> Result<String, Answer> {
    Ok(match model.switch {
        Some(Switch::SubPathLost) => "/".to_owned(),
        Some(Switch::PathDecoded) => decoded(path),
        Some(Switch::PathLowered) => path.to_lowercase(),
        Some(Switch::DoubleSlashCleaned) => path.replace("//", "/"),
        Some(Switch::DoubleSlashRedirected) if path.contains("//") => {
            let mut answer = empty(301);
            set(&mut answer, LOCATION, "/");
            return Err(answer);
        }
        Some(Switch::TrailingSlashLost) if path.len() > 1 => path.trim_end_matches('/').to_owned(),
        _ => path.to_owned(),
    })
}

/// The query, as it was sent.
pub(crate) fn query(model: &Model, query: &str) -> String {
    match model.switch {
        Some(Switch::QueryDropped) => String::new(),
        Some(Switch::QueryDecoded) => decoded(query),
        Some(Switch::QueryPlusChanged) => query.replace("%20", "+"),
        Some(Switch::QueryRepeatsLost) => without_repeats(query),
        _ => query.to_owned(),
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn without_repeats(query: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for pair in query.split('&') {
        let name = pair.split('=').next();
        if !kept.iter().any(|known| known.split('=').next() == name) {
            kept.push(pair);
        }
    }
    kept.join("&")
}

/// The protocol that a caller wants to change to.
pub(crate) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut named = values(headers, &CONNECTION).flat_map(|value| value.split(','));
    let wanted = named.any(|name| name.trim().eq_ignore_ascii_case("upgrade"));
    headers.get(UPGRADE).filter(|_| wanted).cloned()
}

/// Takes away what was meant for the platform, and says where the call came from.
pub(crate) fn headers(model: &Model, headers: &mut HeaderMap, peer: SocketAddr, id: &str) {
    let trailers = values(headers, &TE).any(|coding| coding.contains("trailers"));
    for name in of_one_connection(model, headers) {
        headers.remove(&name);
    }
    if trailers {
        put(headers, TE, "trailers");
    }
    came_from(model, headers, peer);
    match model.switch {
        Some(Switch::AuthorizationStripped) => drop(headers.remove(AUTHORIZATION)),
        Some(Switch::UserAgentReplaced) => put(headers, USER_AGENT, "model/1"),
        Some(Switch::LengthLost) => drop(headers.remove(CONTENT_LENGTH)),
        Some(Switch::RepeatedHeadersLost) => *headers = first_of_each(headers),
        _ => {}
    }
    if !model.wrong(Switch::CallIdNotPassed) {
        put(headers, HeaderName::from_static("x-call-id"), id);
    }
    if !model.wrong(Switch::StartTimeNotPassed) {
        put(
            headers,
            HeaderName::from_static("x-start-time"),
            &nanoseconds(),
        );
    }
}

pub(crate) fn of_one_connection(model: &Model, headers: &HeaderMap) -> Vec<String> {
    let named = values(headers, &CONNECTION);
    let named = named.flat_map(|value| value.split(','));
    let named = named.map(|name| name.trim().to_ascii_lowercase());
    let named = named.filter(|_| !model.wrong(Switch::NamedHeadersPassed));
    let standard = HOP_BY_HOP.iter().map(|name| (*name).to_owned());
    let standard = standard.filter(|_| !model.wrong(Switch::HopByHopPassed));
    named.chain(standard).collect()
}

fn came_from(model: &Model, headers: &mut HeaderMap, peer: SocketAddr) {
    let mut way: Vec<_> = values(headers, &FORWARDED_FOR).map(str::to_owned).collect();
    match model.switch {
        Some(Switch::ForwardedForReplaced) => way = vec![peer.ip().to_string()],
        Some(Switch::ForwardedForKept) if !way.is_empty() => {}
        Some(Switch::ForwardedForWithPort) => way.push(peer.to_string()),
        _ => way.push(peer.ip().to_string()),
    }
    if model.wrong(Switch::ForwardedForMissing) {
        headers.remove(FORWARDED_FOR);
    } else {
        put(headers, FORWARDED_FOR, &way.join(", "));
    }
    if let Some(host) = headers.get(HOST).cloned()
        && !model.wrong(Switch::ForwardedHostMissing)
    {
        headers.entry(FORWARDED_HOST).or_insert(host);
    }
}

fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter();
    values.filter_map(|value| value.to_str().ok())
}

fn first_of_each(headers: &HeaderMap) -> HeaderMap {
    let names = headers.keys();
    names
        .map(|name| (name.clone(), headers[name].clone()))
        .collect()
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    headers.insert(name, HeaderValue::from_str(value).unwrap());
}
