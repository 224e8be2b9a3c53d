//! Headers of a call on their way to the function, and of its answer on their way back.

use std::net::IpAddr;

use hyper::Method;

use super::seen::{Seen, seen, seen_of};
use crate::capability::Capability;
use crate::check::{Check, Family};
use crate::failure::Outcome;
use crate::rule::{Group, Level};
use crate::target::Target;

const FROM: Family = Family::new(
    Group::Headers,
    Level::Standard,
    "provider SDK, proxy: headers are copied",
);

const HOPS: &str = "RFC 9110, section 7.6.1";

const ORIGIN: &str = "provider SDK, proxy: sets X-Forwarded-For and X-Forwarded-Host";

const CORRELATION: &str = "gateway: X-Call-Id and X-Start-Time on both ways";

pub(super) fn checks() -> Vec<Check> {
    let subjects = [
        copied(),
        one_connection(),
        origin(),
        correlation(),
        answers(),
    ];
    let checks = subjects.into_iter().flatten();
    checks
        .map(|check| check.needs(&[Capability::Probe]))
        .collect()
}

fn copied() -> Vec<Check> {
    vec![
        FROM.check(
            "headers.repeated",
            "A header that is sent twice reaches the function with both values, in order.",
            keeps_repeats,
        )
        .case("H8"),
        FROM.check(
            "headers.long",
            "A header of 8000 characters, with a name in odd case, reaches the function whole.",
            keeps_long_ones,
        )
        .level(Level::Full)
        .case("H8"),
        FROM.check(
            "headers.authorization",
            "A caller's Authorization reaches the function.",
            |target| arrives(target, "authorization", "Bearer of-the-function"),
        )
        .case("H11"),
        FROM.check(
            "headers.user-agent",
            "A caller's User-Agent reaches the function.",
            |target| arrives(target, "user-agent", "certifier-check/1"),
        )
        .case("H8"),
    ]
}

fn one_connection() -> Vec<Check> {
    vec![
        FROM.check(
            "headers.hop-by-hop",
            "Keep-Alive, Proxy-Connection and Proxy-Authorization end at the platform.",
            keeps_connections_apart,
        )
        .source(HOPS)
        .case("H10"),
        FROM.check(
            "headers.named-in-connection",
            "A header that Connection names ends at the platform.",
            drops_what_connection_names,
        )
        .source(HOPS)
        .case("H10"),
    ]
}

fn origin() -> Vec<Check> {
    vec![
        FROM.check(
            "headers.forwarded-for",
            "The function is told its caller's address in X-Forwarded-For, without a port.",
            names_the_caller,
        )
        .source(ORIGIN)
        .case("H9"),
        FROM.check(
            "headers.forwarded-for-kept",
            "What a caller says in X-Forwarded-For comes first, and the caller's own address after it.",
            appends_the_caller,
        )
        .source("the header's meaning since Squid: each proxy appends whom it was asked by")
        .case("H9"),
        FROM.check(
            "headers.forwarded-host",
            "The function is told in X-Forwarded-Host which host was asked for.",
            names_the_host,
        )
        .source(ORIGIN)
        .case("H9"),
    ]
}

fn correlation() -> Vec<Check> {
    vec![
        FROM.check(
            "headers.call-id",
            "Through a gateway, a caller's X-Call-Id reaches the function and comes back.",
            keeps_the_call_id,
        )
        .source(CORRELATION)
        .case("H36")
        .only_through_gateway(),
        FROM.check(
            "headers.new-call-id",
            "Through a gateway, the X-Call-Id that the function sees is the one that the caller gets.",
            gives_a_call_id,
        )
        .source(CORRELATION)
        .case("H36")
        .only_through_gateway(),
        FROM.check(
            "headers.start-time",
            "Through a gateway, the function is told in X-Start-Time when the call began.",
            passes_the_start_time,
        )
        .source(CORRELATION)
        .case("H36")
        .only_through_gateway(),
    ]
}

fn answers() -> Vec<Check> {
    vec![
        FROM.check(
            "headers.answer",
            "A header of the function's own reaches the caller.",
            passes_headers_back,
        )
        .case("H16"),
        FROM.check(
            "headers.cookies",
            "Several Set-Cookie headers reach the caller as several.",
            passes_cookies_back,
        )
        .source("RFC 6265, section 3: they must not be folded into one")
        .case("H17"),
        FROM.check(
            "headers.no-type",
            "An answer without a type gets none, or text/plain.",
            invents_no_type,
        )
        .source("browsers run what is said to be text/html")
        .case("H17"),
    ]
}

async fn with_headers(target: &Target, headers: &[(&str, &str)]) -> Outcome<Seen> {
    let mut request = target.shared_probe(Method::GET, "", &[]).await?;
    for (name, value) in headers {
        request = request.header(name, value);
    }
    seen_of(target, request).await
}

async fn keeps_repeats(target: Target) -> Outcome {
    let twice = [("X-Certified", "two"), ("X-Certified", "one")];
    with_headers(&target, &twice)
        .await?
        .header_is("x-certified", &["two", "one"])
}

async fn keeps_long_ones(target: Target) -> Outcome {
    let long = "long ".repeat(1600);
    with_headers(&target, &[("x-CERTIFIED-lOnG", long.trim())])
        .await?
        .header_is("x-certified-long", &[long.trim()])
}

async fn arrives(target: Target, name: &'static str, value: &'static str) -> Outcome {
    with_headers(&target, &[(name, value)])
        .await?
        .header_is(name, &[value])
}

async fn keeps_connections_apart(target: Target) -> Outcome {
    let sent = [
        ("Keep-Alive", "timeout=17"),
        ("Proxy-Connection", "keep-alive"),
        ("Proxy-Authorization", "Basic bm86bmV2ZXI="),
    ];
    let seen = with_headers(&target, &sent).await?;
    sent.iter()
        .try_for_each(|(name, _)| seen.header_is(&name.to_lowercase(), &[]))
}

async fn drops_what_connection_names(target: Target) -> Outcome {
    let sent = [
        ("Connection", "X-Certified-Hop"),
        ("X-Certified-Hop", "here"),
        ("X-Certified-Way", "there"),
    ];
    let seen = with_headers(&target, &sent).await?;
    seen.header_is("x-certified-hop", &[])?;
    seen.header_is("x-certified-way", &["there"])
}

async fn names_the_caller(target: Target) -> Outcome {
    let seen = seen(&target, Method::GET, "").await?;
    let named = seen.header("x-forwarded-for");
    let is_address = |text: &String| text.parse::<IpAddr>().is_ok();
    match !named.is_empty() && named.iter().all(is_address) {
        true => Ok(()),
        false => Err(seen.fault("addresses in X-Forwarded-For", format!("{named:?}"))),
    }
}

async fn appends_the_caller(target: Target) -> Outcome {
    let seen = with_headers(&target, &[("X-Forwarded-For", "192.0.2.7")]).await?;
    let named = seen.header("x-forwarded-for");
    match named.as_slice() {
        [first, _, ..] if first == "192.0.2.7" => Ok(()),
        _ => {
            let expected = "192.0.2.7 and an address after it in X-Forwarded-For";
            Err(seen.fault(expected, format!("{named:?}")))
        }
    }
}

async fn names_the_host(target: Target) -> Outcome {
    let seen = seen(&target, Method::GET, "").await?;
    let host = seen.header("x-forwarded-host");
    match target
        .options()
        .entry
        .url()
        .contains(host.concat().as_str())
        && host.len() == 1
    {
        true => Ok(()),
        false => {
            let expected = format!("the host of {}", target.options().entry.url());
            Err(seen.fault(expected, format!("X-Forwarded-Host: {host:?}")))
        }
    }
}

async fn keeps_the_call_id(target: Target) -> Outcome {
    let seen = with_headers(&target, &[("X-Call-Id", "certified-call-7")]).await?;
    seen.header_is("x-call-id", &["certified-call-7"])?;
    match seen.answer.header("x-call-id") {
        "certified-call-7" => Ok(()),
        other => Err(seen.fault("X-Call-Id: certified-call-7", other)),
    }
}

async fn gives_a_call_id(target: Target) -> Outcome {
    let seen = seen(&target, Method::GET, "").await?;
    let told = seen.answer.header("x-call-id").to_owned();
    seen.header_is("x-call-id", &[&told])
}

async fn passes_the_start_time(target: Target) -> Outcome {
    let seen = seen(&target, Method::GET, "").await?;
    let time = seen.header("x-start-time").concat();
    match time.len() == 19 && time.parse::<u64>().is_ok() {
        true => Ok(()),
        false => Err(seen.fault("nanoseconds in X-Start-Time", time)),
    }
}

async fn passes_headers_back(target: Target) -> Outcome {
    let wish = [("header", "X-Certified-Back: a value, and more")];
    let answer = target.probe(Method::GET, "", &wish).await?;
    let answer = answer.with_status(&[200])?;
    match answer.header("x-certified-back") {
        "a value, and more" => Ok(()),
        other => Err(answer.fault("X-Certified-Back: a value, and more", other)),
    }
}

async fn passes_cookies_back(target: Target) -> Outcome {
    let wish = [
        ("header", "Set-Cookie: a=1; Path=/"),
        ("header", "Set-Cookie: b=2"),
    ];
    let answer = target.probe(Method::GET, "", &wish).await?;
    let answer = answer.with_status(&[200])?;
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").into_iter().collect();
    match cookies == ["a=1; Path=/", "b=2"] {
        true => Ok(()),
        false => Err(answer.fault("two cookies, in their order", format!("{cookies:?}"))),
    }
}

async fn invents_no_type(target: Target) -> Outcome {
    let wish = [("bytes", "5"), ("no-type", "")];
    let answer = target.probe(Method::GET, "", &wish).await?;
    let answer = answer.with_status(&[200])?;
    let kind = answer.header("content-type");
    match kind.is_empty() || kind.starts_with("text/plain") {
        true => Ok(()),
        false => Err(answer.fault("no Content-Type, or text/plain", kind)),
    }
}
